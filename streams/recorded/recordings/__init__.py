"""What a recorder has written: short video files in dated folders, read as one long recording."""
