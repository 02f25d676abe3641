"""The change gate decides which frames need no scoring; with its threshold and its memory."""
