"""A camera's source, detectors and watched days, as configured."""
