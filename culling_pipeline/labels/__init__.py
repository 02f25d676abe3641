"""The ground truth: the teacher's labels and people's corrections."""
