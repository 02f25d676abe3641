"""What every source of frames has in common: `Frame`, `FrameSource`, and the errors they raise."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from streams.secret_places import printable as printable
from streams.secret_places import redact_url as redact_url

if TYPE_CHECKING:
    from streams.sampler import Sampler


DAY_S = 86_400.0
"""What is reckoned with where a source does not say how long it is, as a live camera never does."""


class StreamError(Exception):
    """Base of everything that can go wrong between a camera and a frame."""


class SourceNotFoundError(StreamError):
    """There is nothing at this address: no such file, folder or scheme."""


class SourceUnreadableError(StreamError):
    """Something is there, but it holds no frame that can be decoded."""


class ConnectionFailedError(StreamError):
    """A camera or server does not answer, refuses, or breaks off.

    `reason` is one plain word or two (`streams.failures` has them all); the text never holds a
    password.
    """

    def __init__(self, message: str, *, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class SourceUrlError(StreamError):
    """The address itself is malformed: an unknown option, or a value out of range."""


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One image with its times.

    `image` is H×W×3 uint8, RGB. `time_s` is the presentation time in seconds since the start of
    the source; `wall_time` is the same moment on the clock, in UTC.
    """

    image: NDArray[np.uint8]
    time_s: float
    wall_time: datetime
    camera: str

    def __post_init__(self) -> None:
        if self.image.ndim != 3 or self.image.shape[2] != 3 or self.image.dtype != np.uint8:
            message = (
                f"camera {self.camera!r}: a frame must be H×W×3 uint8 RGB, "
                f"got shape {self.image.shape} of {self.image.dtype}"
            )
            raise ValueError(message)
        if self.wall_time.utcoffset() != timedelta(0):
            message = f"camera {self.camera!r}: wall_time must be in UTC, got {self.wall_time!r}"
            raise ValueError(message)


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceInfo:
    """What a source is, as far as it says so itself.

    `location` is safe to show: it never holds a password. `duration_s` is None where the source
    has no end or does not tell (live cameras). Width and height are 0 for a live camera that has
    not sent a picture yet. `keyframe_interval_s` is the longest of the last few. `said` is what
    else a person should know of it, a few words each.
    """

    kind: str
    location: str
    width_px: int
    height_px: int
    started_at: datetime
    rate_fps: float | None = None
    duration_s: float | None = None
    codec: str | None = None
    keyframe_interval_s: float | None = None
    said: tuple[str, ...] = ()

    def of_size(self, height_px: int, width_px: int) -> SourceInfo:
        """The same with this size."""
        return replace(self, height_px=height_px, width_px=width_px)


class FrameSource(ABC):
    """A camera's frames, in order of presentation time.

    A source is opened by its constructor, which raises a `StreamError` if there is nothing to
    read, and is closed by `close` or by leaving its `with` block. Closing twice is harmless.
    """

    @property
    @abstractmethod
    def info(self) -> SourceInfo:
        """What this source is and how long it lasts."""

    @property
    def left_out(self) -> Mapping[str, int]:
        """Pictures of the latest pass so far that are not given out, by the reason in words."""
        return {}

    @property
    def coverage(self) -> str:
        """How much of the time asked for is there, in a sentence; empty where there are no gaps to
        speak of, as in one file."""
        return ""

    @abstractmethod
    def frames(self, sampler: Sampler | None = None) -> Iterator[Frame]:
        """Frames from the beginning: those the sampler wants, or all of them.

        A source asks the sampler before it converts a frame (or, where it can, before it makes
        one), so that frames nobody wants cost as little as possible.
        """

    def expected(self, interval_s: float) -> int | None:
        """How many frames a sampler of this interval will be given, as far as that is known before
        they are read; None where the source has no end or does not tell."""
        duration_s = self.info.duration_s
        return None if duration_s is None else max(1, math.ceil(duration_s / interval_s))

    def to_fetch(self, interval_s: float) -> int | None:
        """About how many bytes such a sampler's frames take from a server; None where there is
        none, or it does not tell."""
        return None

    def look_bytes(self, interval_s: float) -> int | None:
        """About how many bytes each frame of `frames_at` takes from a server; None as above, or
        where there are no single frames."""
        return None

    def moments(self, interval_s: float) -> Sequence[float] | None:
        """When there are frames, every `interval_s` (seconds since the start) or more seldom, for a
        source that gives out single ones (`frames_at`); None for one that can only be played."""
        return None

    def frames_at(self, times_s: Sequence[float]) -> Iterator[Frame]:
        """For each of these moments the keyframe at or shortly before it, in order and each but
        once; what cannot be read is left out. Each costs a seek and one picture, wherever it is."""
        raise NotImplementedError

    @abstractmethod
    def close(self) -> None:
        """Let go of files, sockets and threads."""

    def __iter__(self) -> Iterator[Frame]:
        return self.frames()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def as_utc(moment: datetime, *, camera: str) -> datetime:
    """The same moment in UTC; one without a time zone is refused."""
    if moment.utcoffset() is None:
        message = (
            f"camera {camera!r}: started_at {moment.isoformat()} has no time zone; "
            "give one, for example 2026-01-31T06:00:00+00:00"
        )
        raise ValueError(message)
    return moment.astimezone(UTC)
