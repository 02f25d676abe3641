"""The base of what can go wrong in a night, beside what cameras and models raise."""

from __future__ import annotations


class CullingError(Exception):
    """Something in a night, a day or a data set is not as it has to be, in words for people."""
