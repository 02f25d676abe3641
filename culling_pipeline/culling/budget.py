"""The budget of a night: how its seconds are divided among looks, labels and training images.

Everything that a night pays for is counted in seconds of this machine: the student looks at frames,
the teacher labels some of them, and training goes through those labelled. Only their sum is given.
A lottery of the same total cost has the same budget and needs no looks: it labels and trains more.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from culling_pipeline.ranges import (
    Count,
    NotNegative,
    OneOrMore,
    ShareBelowOne,
    WholeFromZero,
    check,
)
from culling_pipeline.records.costs import Portions, SecondsPerImage

DAY_FRAMES = 86_400
"""Full training is training on a whole day at a frame a second, as in Dataset Culling, Table 1; a
budget that is a share means a share of what that costs."""

EPOCHS = 8
"""How often a frame is shown if the budget decides. Measured: docs/log/2026-11.md, equal cost."""
LOOKS_PER_LABEL = 4
"""How many frames the student looks at for each that the teacher labels, if the budget decides."""
LOOKS_SHARE = 0.25
"""The most of a budget that goes into looks, where a look costs much beside a label."""
LEAST_EPOCHS, MOST_EPOCHS = 4, 96
"""What remains of a budget when there are no more frames to label goes into further epochs, up to
so many; what a few frames cost too much is saved in epochs, down to so many."""
LEAST_KEPT = 16
"""The fewest frames to train on, however small the budget is."""

Images = Callable[[int, int], int]
"""How many images a training goes through, for a number of frames and a number of epochs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What of a night is fixed by hand; None: the budget decides. `frames` is how many there are
    to look at, `labels_per_kept` how many frames the teacher labels for one that is trained on,
    `most` the most frames to train on. `replay` is the share of frames of earlier nights in the
    training, of which there are `earlier`."""

    frames: Count
    most: Count
    labels_per_kept: OneOrMore
    keep: Count | None = None
    epochs: Count | None = None
    looks: WholeFromZero | None = None
    looks_per_label: NotNegative = LOOKS_PER_LABEL
    most_looks: WholeFromZero = DAY_FRAMES
    replay: ShareBelowOne = 0.0
    earlier: WholeFromZero = 0

    def __post_init__(self) -> None:
        check(self)

    def replayed(self, keep: int) -> int:
        """How many frames of earlier nights are trained on beside `keep` new ones."""
        return min(self.earlier, round(keep * self.replay / (1 - self.replay)))


def full_training_s(seconds: SecondsPerImage, *, frames: int, images: int) -> float:
    """Seconds to label `frames` and to train on `images`."""
    return frames * seconds.label + images * seconds.train


def cost_s(portions: Portions, seconds: SecondsPerImage) -> float:
    """What these portions cost, in seconds."""
    return (
        portions.looks * seconds.look
        + portions.labels * seconds.label
        + portions.images * seconds.train
    )


def divide(
    budget_s: float, seconds: SecondsPerImage, wishes: Wishes, images_of: Images
) -> Portions:
    """The largest portions that `budget_s` pays for, with what is fixed by hand.

    Frames come first, each shown `EPOCHS` times; when there are no more frames (or `keep` is
    fixed), the rest goes into epochs. Frames of earlier nights take their share of what is shown,
    so that as many new ones are labelled. Portions fixed by hand may cost more than the budget.
    """
    if seconds.look:
        most_looks = int(LOOKS_SHARE * budget_s / seconds.look)
        wishes = replace(wishes, most_looks=min(wishes.most_looks, most_looks))

    def affordable(keep: int, epochs: int) -> bool:
        return cost_s(_portions(keep, epochs, wishes, images_of), seconds) <= budget_s

    def epochs_of(keep: int) -> int:
        new = keep / (keep + wishes.replayed(keep))
        return wishes.epochs or max(LEAST_EPOCHS, round(EPOCHS * new))

    most = min(wishes.most, max(1, int(wishes.frames / wishes.labels_per_kept)))
    keep = wishes.keep
    if keep is None:
        least = min(LEAST_KEPT, most)
        keep = _largest(least, most, lambda n: affordable(n, epochs_of(n)))
    new = min(keep, wishes.frames)
    epochs = wishes.epochs or _largest(LEAST_EPOCHS, MOST_EPOCHS, lambda n: affordable(new, n))
    if wishes.keep is None and wishes.replayed(new):  # the rest is too little for another epoch
        return _portions(
            _largest(new, most, lambda n: affordable(n, epochs)), epochs, wishes, images_of
        )
    return _portions(new, epochs, wishes, images_of)


def _portions(keep: int, epochs: int, wishes: Wishes, images_of: Images) -> Portions:
    labels = min(round(keep * wishes.labels_per_kept), wishes.frames)
    looks = wishes.looks
    if looks is None:
        looks = min(round(labels * wishes.looks_per_label), wishes.most_looks)
    replayed = wishes.replayed(keep)
    return Portions(
        looks=min(looks, wishes.frames),
        labels=labels,
        keep=keep,
        epochs=epochs,
        images=images_of(keep + replayed, epochs),
        replayed=replayed,
    )


def _largest(least: int, most: int, fits: Callable[[int], bool]) -> int:
    """The largest number that fits, from `least` (whether it fits or not) to `most`."""
    while least < most:
        middle = (least + most + 1) // 2
        if fits(middle):
            least = middle
        else:
            most = middle - 1
    return least
