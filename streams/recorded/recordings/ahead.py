"""Work done ahead in a few threads, and handed out in its order.

FFmpeg lets go of the interpreter while it decodes, so threads are enough. Each piece of work hands
its results over one by one and waits when a few are untaken: memory stays bounded, however long a
piece is.
"""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

_Item = TypeVar("_Item")
Work = Callable[[], Iterator[_Item]]

_LOOK_S = 0.1
"""How often a thread that waits for room looks whether it is still wanted."""


class _End:
    """No more of this piece; with what went wrong, if something did."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error


class _Piece(Generic[_Item]):
    """One piece of work, and its results that nobody has taken yet."""

    def __init__(self, work: Work[_Item], held: int, given_up: threading.Event) -> None:
        self._work, self._given_up = work, given_up
        self._results: queue.Queue[_Item | _End] = queue.Queue(maxsize=held)

    def run(self) -> None:
        """In a thread of its own."""
        try:
            for item in self._work():
                if not self._hand_over(item):
                    return
            self._hand_over(_End())
        except BaseException as error:  # raised again where the results are taken
            self._hand_over(_End(error))

    def _hand_over(self, item: _Item | _End) -> bool:
        while not self._given_up.is_set():
            try:
                self._results.put(item, timeout=_LOOK_S)
            except queue.Full:
                continue
            return True
        return False

    def results(self) -> Iterator[_Item]:
        """As they come."""
        while True:
            item = self._results.get()
            if isinstance(item, _End):
                if item.error is not None:
                    raise item.error
                return
            yield item


def in_order(pieces: Iterable[Work[_Item]], *, threads: int, held: int) -> Iterator[_Item]:
    """All results of all pieces, in their order; `threads` pieces are worked on at once, and each
    may be `held` results ahead. An error comes where its piece's results would."""
    given_up = threading.Event()
    begun: deque[_Piece[_Item]] = deque()
    waiting = iter(pieces)
    with ThreadPoolExecutor(threads, thread_name_prefix="reading") as pool:
        try:
            while True:
                while len(begun) <= threads and (work := next(waiting, None)) is not None:
                    piece = _Piece(work, held, given_up)
                    begun.append(piece)
                    pool.submit(piece.run)
                if not begun:
                    return
                yield from begun.popleft().results()
        finally:
            given_up.set()
            pool.shutdown(wait=False, cancel_futures=True)
