"""What the stages of a night are called, everywhere.

`key` names a stage in the journal and never changes: half-finished nights go on by it. `words` are
what progress bar, ledger, report and documents say.
"""

from __future__ import annotations

from typing import NamedTuple


class StageName(NamedTuple):
    """The two names of a stage."""

    key: str
    words: str

    def of(self, part: str) -> str:
        """A part of the stage: the frames it is about, or the camera."""
        return f"{self.words}: {part}"


BUDGET = StageName("budget", "budget")
START = StageName("start", "start")
INGEST = StageName("ingest", "scoring")
VIEW = StageName("view", "view comparison")
LABEL = StageName("label", "labelling")
CULL = StageName("cull", "precision culling")
RESOLUTION = StageName("resolution", "resolution search")
TRAIN = StageName("train", "training")
JUDGE = StageName("judge", "judging")
PROMOTE = StageName("promote", "promotion")

STAGES = (BUDGET, START, INGEST, VIEW, LABEL, CULL, RESOLUTION, TRAIN, JUDGE, PROMOTE)
"""In the order they run."""

SURVIVORS, CONTROL_SLICE, RANDOM_FRAMES = "survivors", "control slice", "random frames"
FIRST_STUDENT, STORED_FRAMES, INCUMBENT = "first student", "stored frames", "incumbent"
READING, PICTURES = "reading and decoding", "pictures of the report"
"""The parts of stages that have a line of their own in the ledger."""
