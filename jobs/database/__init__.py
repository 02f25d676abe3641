"""What the program keeps between two runs: nights, their stages, due nights, notices."""
