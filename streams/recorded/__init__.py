"""Recordings, which have a beginning and an end: files, folders, videos on the web."""
