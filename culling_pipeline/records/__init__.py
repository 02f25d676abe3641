"""What each stage of a night leaves behind: frozen records that survive a round trip as JSON.

A stage's record is written to the journal before the next stage begins; a resumed night reads it
back instead of repeating the work. The report and the command line read nothing else. A file for
each part of a night.
"""
