"""The way of a frame: from the inbox by its camera's gate to the scorer, and into its day."""

from __future__ import annotations

import queue
from collections.abc import Sequence
from typing import Any

from jobs.watch.feed import Feed, Waiting
from jobs.watch.lineup import Lineup
from jobs.watch.scoring import Scorer
from jobs.watch.watching import Inbox
from streams.base import Frame


class Intake:
    """Takes the frames of all cameras, in one thread."""

    def __init__(self, inbox: Inbox, lineup: Lineup, scorer: Scorer[Waiting]) -> None:
        self._inbox, self._lineup, self._scorer = inbox, lineup, scorer

    @property
    def is_empty(self) -> bool:
        """Whether no frame waits to be taken."""
        return self._inbox.empty()

    def take_some(self) -> None:
        """Take the frames that have arrived, as many as can be scored soon; wait briefly for the
        first."""
        wait_s: float | None = 0.1
        while not self._scorer.is_full:
            try:
                frame = self._inbox.get(timeout=wait_s) if wait_s else self._inbox.get_nowait()
            except queue.Empty:
                return
            wait_s = None
            self._take(frame)
        self._scorer.wait()

    def hand_out(self) -> None:
        """Give to the days what is scored by now."""
        self._hand_out(self._scorer.collect())

    def settle_arrived(self) -> None:
        """Write down the frames that have come by now; a recording's next ones come meanwhile."""
        for _ in range(self._inbox.qsize()):
            self._take(self._inbox.get_nowait())
        self._hand_out(self._scorer.collect(flush=True))

    def settle_all(self) -> None:
        """Write down all frames, when no more come."""
        self.settle_arrived()
        while not self._inbox.empty():
            self.settle_arrived()

    def _take(self, frame: Frame) -> None:
        feed = self._lineup.feeds.get(frame.camera)
        if feed is None or feed.is_halted:
            return
        while feed.is_full:
            self._scorer.wait()
            self._hand_out(self._scorer.collect(flush=True))
        if not feed.is_halted:
            with self._lineup.halting(feed):
                self._give(frame, feed)

    def _give(self, frame: Frame, feed: Feed) -> None:
        if not self._lineup.watchers[frame.camera].is_live and feed.has_seen(frame):
            return
        waiting = feed.arrive(frame)
        if waiting.decision.score:
            self._scorer.add(waiting.student, frame.image, waiting)
        else:
            feed.settle()

    def _hand_out(self, results: Sequence[Any]) -> None:
        for scored in results:
            scored.ticket.scored = scored
        for feed in {id(s.ticket.feed): s.ticket.feed for s in results}.values():
            with self._lineup.halting(feed):
                feed.settle()
        for ticket, error in self._scorer.failures():
            if ticket.feed is not None:
                self._lineup.halt(ticket.feed, error)
