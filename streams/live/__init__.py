"""Live cameras: each read in its own thread, reconnected for ever, never stale."""
