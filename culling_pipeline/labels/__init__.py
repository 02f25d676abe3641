"""What counts as right: the teacher's labels and people's corrections."""
