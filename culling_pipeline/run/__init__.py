"""What a night runs on: progress, worker processes, how they start."""
