"""A synthetic sports court with known boxes: large people, one class, games and breaks."""
