"""Cameras: read in threads of their own, reconnected for ever, never stale."""
