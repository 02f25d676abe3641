"""The files in a night's work folder that others read as well."""

STUDENT_FILE = "student.npz"
"""The student's answers to the stored frames, in the night's work folder …"""
SHOWN_FILE = "shown.npz"
"""… those that the report alone needs …"""
TEACHER_FILE = "teacher.npz"
"""… and the teacher's labels."""
