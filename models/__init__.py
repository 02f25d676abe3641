"""Detectors: student and teacher, their weights in and out, a camera's model versions."""

from models.boxes.lean_import import spare_the_compiler

spare_the_compiler()
