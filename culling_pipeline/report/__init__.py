"""One night of one camera as a self-contained web page: records and pictures in, HTML out."""
