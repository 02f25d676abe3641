"""The interface of a *task*: what kind of answer a camera's model gives.

Boxes are one kind of answer; a count or a density map is another. Only the task looks inside an
answer; a night passes answers from one of these methods to the next:

    answer = model.predict([image])[0]          # the student's
    task.unsureness(answer)                     # watch the day: is the frame worth a label?
    truth = task.truth(teachers_answer, …)      # label: the truth from its answer
    task.disagreement(frame_id, answer, truth)  # cull: what did the student get wrong?
    task.smallest_scale(truths, …)              # resolution: which size still works?
    task.pictures(…), task.losses(…)            # train: varied samples, each image's loss
    task.score(…), task.compare(…)              # judge: old and new student by one metric

A new task subclasses `Task`. Abstract methods are required; the others are optional, and their
docstrings say what they enable. `tests/unit/brightness.py` is a whole task in some sixty lines.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from culling_pipeline.records.labels import CorrectedFrame, Disagreement
from culling_pipeline.records.scores import Accuracy
from culling_pipeline.tasks.answers import (
    Answer,
    Sight,
    TeacherAnswer,
    Truth,
    load_json,
    save_as_json,
)
from culling_pipeline.tasks.metric import Comparison, Metric
from culling_pipeline.tasks.samples import Pictures, Prepared, Sample, Variation
from models.base import Backend, Model, OpenModel, Trainable
from models.zones import NO_ZONES, Zones

if TYPE_CHECKING:
    from torch import Tensor

    from culling_pipeline.tasks.export import StudentExport
    from models.boxes.detections import Detections


class Task(ABC):
    """One kind of answer, for one camera. Instances are plain values: they can be sent to another
    process, and importing one loads no deep-learning library."""

    metric: ClassVar[Metric]
    marks_points: ClassVar[bool] = False
    """Whether a label by hand is a point, the middle of its box."""
    backend: Backend
    """How the student is run; `auto` for a task with only one way."""

    # -- models --------------------------------------------------------------------------------

    @property
    @abstractmethod
    def class_names(self) -> tuple[str, ...]:
        """The camera's classes, in the order of their labels."""

    @property
    def zones(self) -> Zones:
        """The camera's ignore zones: objects in them neither count nor are learned from."""
        return NO_ZONES

    def without_zones(self) -> Task:
        """The same task for somebody who sees the whole picture."""
        return self

    @abstractmethod
    def open_student(self, path: Path, *, device: str) -> Trainable:
        """The student in a version's folder or file, to be trained or measured."""

    def student_opener(
        self,
        path: Path,
        *,
        device: str,
        size: tuple[int, int] | None = None,
        ignoring: bool = True,
    ) -> OpenModel:
        """How to open that student for prediction only, as fast as this machine can, at its own
        size or at this height and width. With `ignoring` it leaves out objects in the camera's
        zones; without, it can work for cameras with other zones (`outside_zones`)."""
        return OpenAsTrained(self, path, device, size)

    def at_work(self, student: Trainable) -> Model:
        """An open student as it is run for prediction, such as `student_opener` opens it."""
        return student

    def teacher_opener(self, build: OpenModel) -> OpenModel:
        """The teacher that `build` opens, without what lies in the camera's ignore zones."""
        return build

    def check_teacher(self, teacher_names: Sequence[str]) -> None:  # noqa: B027 (may be left)
        """Raise `ModelError` if a teacher with these classes cannot teach this task."""

    # -- answers and truth ---------------------------------------------------------------------

    @property
    @abstractmethod
    def nothing(self) -> Answer:
        """The answer to an empty picture."""

    @abstractmethod
    def unsureness(self, answer: Answer) -> float:
        """The student's uncertainty on a frame, from its answer alone; 0 is certain."""

    @property
    def standardises(self) -> bool:
        """Whether unsureness is brought to the same scale for every class over the whole day
        (`unsureness_by_class`), which needs every frame's answer."""
        return False

    def unsureness_by_class(self, answer: Answer) -> NDArray[np.float64]:
        """Unsureness of each of the C classes: C float64. Asked where `standardises`."""
        return np.full(len(self.class_names), self.unsureness(answer) / len(self.class_names))

    def unsureness_of_day(self, table: NDArray[np.float64]) -> NDArray[np.float64]:
        """F frames' unsureness from their F×C table of `unsureness_by_class`: F float64."""
        return standardise(table)

    @abstractmethod
    def truth(
        self, said: TeacherAnswer, teacher_names: Sequence[str], *, height_px: int, width_px: int
    ) -> Truth:
        """The truth from a teacher's answer to a frame of this size: in the camera's classes,
        without objects too uncertain or too small to learn from. `teacher_names` are the teacher's
        classes."""

    @abstractmethod
    def disagreement(self, frame_id: int, answer: Answer, truth: Truth) -> Disagreement:
        """How the student's answer and the truth differ on one frame."""

    def objects(self, truth: Truth) -> int:
        """The number of objects in a truth, for the report."""
        return round(sum(self.sight(truth).objects))

    def counts(self, truth: Truth) -> tuple[int, ...]:
        """The number of objects of each class in a truth, for people."""
        return (self.objects(truth),)

    def amount(self, said: Answer | Truth) -> float | None:
        """How many there are, where that is what the task is about. Enables the report's curve of
        the day and a metric for monitoring."""
        return None

    def outside_zones(self, answer: Answer, height_px: int, width_px: int) -> Answer:
        """An answer to a picture of this size without objects in the ignore zones. Used when
        one student works for several cameras, whose openers leave nothing out."""
        return answer

    # -- is something there, is it the same ----------------------------------------------------

    def is_busy(self, answer: Answer) -> bool:
        """Whether there is an object at the student's working threshold. The change gate counts
        such frames."""
        return self.sight(answer).busy

    @abstractmethod
    def differ(self, one: Answer, other: Answer) -> bool:
        """Whether two answers differ so much that skipping the frame would have lost something."""

    @abstractmethod
    def sight(self, answer: Answer) -> Sight:
        """The figures of an answer that drift is measured by."""

    # -- size ----------------------------------------------------------------------------------

    def smallest_scale(self, truths: Sequence[Truth], *, shrink: float) -> float:
        """The smallest scale, at most 1, at which objects of these truths are still large enough to
        be found; `shrink` is full size over the truths' frame size. Enables smaller pictures."""
        return 1.0

    # -- training ------------------------------------------------------------------------------

    def target(self, truth: Truth) -> dict[str, Tensor]:
        """The training target of a truth. Used by the default `pictures`."""
        raise NotImplementedError

    def pictures(
        self,
        samples: Sequence[Sample],
        others: Iterable[Sample],
        *,
        size: tuple[int, int],
        variation: Variation,
    ) -> Pictures:
        """The samples at this height and width, to be shown varied. `others` are labelled samples
        that are not trained on; a task may take objects from them."""
        from culling_pipeline.tasks.plain_pictures import PlainPictures

        shown = [(sample.image, self.target(sample.truth)) for sample in samples]
        return PlainPictures(shown, size=size, flip=variation.flip)

    @abstractmethod
    def losses(self, student: Trainable, batch: Sequence[Prepared]) -> Tensor:
        """Each image's loss, N float32; training minimises their sum. The model is in training
        mode."""

    def resized(self, truth: Truth, *, across: float, down: float) -> Truth:
        """A truth in the pixels of its picture stretched by these factors; a truth
        without positions stays as it is. Enables first students for cameras of different shapes."""
        return truth

    # -- how good it is ------------------------------------------------------------------------

    @abstractmethod
    def score(self, answers: Sequence[Answer], truths: Sequence[Truth]) -> Accuracy:
        """The figures of a student on F frames; its `score` is `metric`'s."""

    def compare(
        self,
        before: Sequence[Answer],
        after: Sequence[Answer],
        truths: Sequence[Truth],
        blocks: Sequence[int],
        *,
        rng: np.random.Generator,
    ) -> Comparison:
        """Two students on the same F frames. `blocks` names the stretch of time of each frame:
        frames of one stretch are not independent, so whole stretches are resampled."""
        from culling_pipeline.tasks.bootstrap import interval_of_gain

        def gain_on(frames: NDArray[np.int64]) -> float | None:
            truth = [truths[i] for i in frames]
            old, new = (self.score([said[i] for i in frames], truth) for said in (before, after))
            return self.metric.gain(old.score.value, new.score.value) if new.objects else None

        old, new = self.score(before, truths), self.score(after, truths)
        low, high = interval_of_gain(gain_on, blocks, rng=rng)
        gain = self.metric.gain(old.score.value, new.score.value)
        return Comparison(old.score.value, new.score.value, gain, low, high)

    # -- on disk and on the page ---------------------------------------------------------------

    def save(self, path: Path, answers: Mapping[int, Answer]) -> None:
        """Write answers (or truths) by frame id to one file, complete or not at all."""
        save_as_json(path, {i: self.as_json(answer) for i, answer in answers.items()})

    def load(self, path: Path) -> dict[int, Answer]:
        """Read what `save` wrote."""
        return {i: self.answer_from(line) for i, line in load_json(path).items()}

    @abstractmethod
    def as_json(self, answer: Answer) -> dict[str, Any]:
        """An answer as the keys of a daybook's line; `answer_from` reads it back."""

    @abstractmethod
    def answer_from(self, line: Mapping[str, Any]) -> Answer:
        """The answer in a daybook's line; `nothing` if it has none."""

    def corrected(self, frame: CorrectedFrame) -> Truth:
        """The truth of a frame that a person has corrected. Enables corrections."""
        message = f"{type(self).__name__} takes no corrections by hand yet"
        raise NotImplementedError(message)

    def labelled(self, truth: Truth) -> Detections:
        """A truth as boxes for other programs, which `corrected` reads back. Enables
        `culling dataset export`."""
        message = f"{type(self).__name__} takes no corrections by hand yet"
        raise NotImplementedError(message)

    def at_threshold(self, answer: Answer) -> Answer:
        """What of a student's answer is shown to people: all, or what is sure enough."""
        return answer

    def export(self, path: Path) -> StudentExport:
        """The student in a version's folder, to be a file for other programs. Enables
        `culling export`."""
        message = f"{type(self).__name__} cannot be exported yet"
        raise NotImplementedError(message)

    def painted(
        self, image: NDArray[np.uint8], answer: Answer, class_names: Sequence[str]
    ) -> NDArray[np.uint8]:
        """A copy of the H×W×3 uint8 RGB image with the answer drawn on it, by a model with these
        classes."""
        return image

    def said(self, answer: Answer, class_names: Sequence[str]) -> dict[str, Any]:
        """An answer, by a model with these classes, as plain values for other programs. Enables
        `culling detect --json`."""
        return self.as_json(answer)

    def drawing(self, answer: Answer, truth: Truth, *, width_px: int) -> list[Markup]:
        """SVG elements over a frame's picture, in its pixels: the answers of teacher and student.
        Enables the report's gallery."""
        return []


def standardise(table: NDArray[np.float64]) -> NDArray[np.float64]:
    """F×C losses, each column brought to mean 0 and deviation 1, summed by row: F float64. A class
    that is the same in every frame (mostly: never there) adds 0."""
    if len(table) == 0:
        return np.zeros(0)
    deviation = table.std(axis=0)
    flat = deviation <= 1e-9 * np.maximum(1.0, np.abs(table).max(axis=0))  # rounding is no spread
    standard = (table - table.mean(axis=0)) / np.where(flat, np.inf, deviation)
    total: NDArray[np.float64] = standard.sum(axis=1)
    return total


@dataclass(frozen=True, slots=True)
class OpenAsTrained:
    """Opens a task's student as it was trained, in whichever process it is called."""

    task: Task
    path: Path
    device: str
    size: tuple[int, int] | None

    def __call__(self) -> Model:
        student = self.task.open_student(self.path, device=self.device)
        return student if self.size is None else student.at_size(*self.size)
