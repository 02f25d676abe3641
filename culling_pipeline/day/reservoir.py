"""Which of the day's frames stay on disk while it is watched: a bounded store, frame by frame.

Two sets are held: the hardest frames of each part of the day and of the whole day (for the
strategies that look at hardness) and a plain random draw (for random frames at the same cost). A
frame is deleted when it is in neither set any more.
"""

from __future__ import annotations

import heapq

import numpy as np

_Entry = tuple[float, int]


class Hardest:
    """The `capacity` frames of highest loss, ties by the earlier frame."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._heap: list[_Entry] = []

    def offer(self, frame_id: int, loss: float) -> int | None:
        """Offer a frame; returns the frame that is dropped for it (possibly the same one)."""
        entry = (loss, -frame_id)
        if len(self._heap) < self._capacity:
            heapq.heappush(self._heap, entry)
            return None
        return -heapq.heappushpop(self._heap, entry)[1] if self._capacity else frame_id

    @property
    def ids(self) -> set[int]:
        """What is held."""
        return {-negative for _, negative in self._heap}


class RandomDraw:
    """A random draw of `capacity` frames, each seen frame as likely as any other (Vitter,
    Random sampling with a reservoir, algorithm R)."""

    def __init__(self, capacity: int, rng: np.random.Generator) -> None:
        self._capacity = capacity
        self._rng = rng
        self._ids: list[int] = []
        self._seen = 0

    def offer(self, frame_id: int) -> int | None:
        """Offer a frame; returns the frame that is dropped for it (possibly the same one)."""
        self._seen += 1
        if len(self._ids) < self._capacity:
            self._ids.append(frame_id)
            return None
        place = int(self._rng.integers(self._seen))
        if place >= self._capacity:
            return frame_id
        gone, self._ids[place] = self._ids[place], frame_id
        return gone

    @property
    def ids(self) -> list[int]:
        """What is held, in no particular order."""
        return list(self._ids)


class Reservoir:
    """The day's candidates for training: hardest per part, hardest of all, and a random draw."""

    def __init__(self, *, survivors: int, parts: int, drawn: int, rng: np.random.Generator) -> None:
        share = -(-2 * survivors // parts)  # twice its share: a busy part may take a quiet one's
        self._parts = [Hardest(share) for _ in range(parts)]
        self._day = Hardest(survivors)
        self._drawn = RandomDraw(drawn, rng)
        self._holders: dict[int, int] = {}

    def offer(
        self, frame_id: int, part: int, loss: float, *, scored: bool = True
    ) -> tuple[bool, list[int]]:
        """Whether to store this frame, and which stored frames may be deleted for it.

        A frame that was not scored can only be drawn: its loss is that of an earlier frame, which
        is there already and looks much the same.
        """
        gone: list[int | None] = [frame_id, frame_id]
        if scored:
            gone = [self._parts[part].offer(frame_id, loss), self._day.offer(frame_id, loss)]
        gone.append(self._drawn.offer(frame_id))
        self._holders[frame_id] = len(gone)
        freed = []
        for leaving in gone:
            if leaving is not None:
                self._holders[leaving] -= 1
                if self._holders[leaving] == 0:
                    del self._holders[leaving]
                    freed.append(leaving)
        stored = frame_id in self._holders
        return stored, [i for i in freed if i != frame_id]

    @property
    def hard(self) -> set[int]:
        """Frames held for their hardness."""
        return self._day.ids.union(*(part.ids for part in self._parts))

    @property
    def drawn(self) -> list[int]:
        """Frames held as a random draw."""
        return self._drawn.ids
