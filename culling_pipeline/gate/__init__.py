"""Which frames the student need not look at: the change gate, its threshold, what it remembers."""
