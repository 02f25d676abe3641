"""Records → the page of a night."""

PAGE = "index.html"
"""A night's page, in the folder of its report."""
