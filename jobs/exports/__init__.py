"""What the program exports: a student as a file, its boxes on a video, frames as a data set."""
