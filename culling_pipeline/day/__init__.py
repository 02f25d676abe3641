"""The day's frames: watched now or as they went by, sampled, held, set aside."""
