"""What is remembered between two runs of the program."""
