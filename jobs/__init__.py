"""When and where a night runs: command line, configuration, store, nightly job."""
