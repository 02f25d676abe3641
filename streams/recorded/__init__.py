"""What has a beginning and an end: files, folders, recordings on the web."""
