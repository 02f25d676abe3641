"""The first five minutes: a configuration, its cameras, and whether all is well."""
