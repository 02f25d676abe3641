"""The files in a night's folders that others read as well."""

STUDENT_FILE = "student.npz"
"""The student's answers to the stored frames, in the night's work folder …"""
SHOWN_FILE = "shown.npz"
"""… those that the report alone needs …"""
TEACHER_FILE = "teacher.npz"
"""… and the teacher's labels, which stay with the frames when the night is over."""
OLD_FILE, NEW_FILE = "old.npz", "new.npz"
"""What the old and the new student say of the control frames, as far as it is sure enough to be
shown. They stay with the frames, the old one's with what it says of the others."""
