"""What a camera's model answers, behind one interface."""
