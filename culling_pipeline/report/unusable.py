"""The page of a night that ended early, since the lens was moved or covered. Pure, as `page.py`."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from culling_pipeline import svg
from culling_pipeline.records.day import StoredFrame
from culling_pipeline.records.monitoring import TO_DO, SlotView
from culling_pipeline.records.night import UnusableNight
from culling_pipeline.report import words
from culling_pipeline.report.clock import UTC_CLOCK, Clock
from culling_pipeline.report.page import PAGES
from culling_pipeline.report.pictures import encode_jpeg
from culling_pipeline.report.sentences import feed_words, source_shown

MAX_GLIMPSES = 4
"""Pictures on the page."""

PICTURE_BYTES = 60_000
"""Each picture, at most."""


@dataclass(frozen=True, slots=True, eq=False)
class Glimpse:
    """A frame to show: `image` is H×W×3 uint8 RGB."""

    image: NDArray[np.uint8]
    frame: StoredFrame


@dataclass(frozen=True, slots=True)
class SlotRow:
    """One line of the table of slots."""

    hours: str
    state: str
    agreement: str
    lost: str
    why: str


def render_unusable(
    night: UnusableNight, glimpses: Sequence[Glimpse], *, clock: Clock = UTC_CLOCK
) -> str:
    """One self-contained HTML page about `night`, with `glimpses` of its day in order of time."""
    pictures = [(stamp := clock.stamp(g.frame.wall_time), _drawn(g, stamp)) for g in glimpses]
    values = unusable_values(night, clock)
    return PAGES.get_template("unusable.html").render(**values, pictures=pictures)


def unusable_values(night: UnusableNight, clock: Clock = UTC_CLOCK) -> dict[str, Any]:
    """What `unusable.html` says of a night, its pictures aside."""
    return dict(
        clock=clock,
        night=night.changed(source=source_shown(night.source)),
        headline=unusable_headline(night),
        reason=night.view.reason,
        to_do=TO_DO[night.view.state],
        rows=[_row(slot) for slot in night.view.slots],
        feed_words=feed_words(night.ingest.feed),
    )


def unusable_headline(night: UnusableNight) -> str:
    """What was decided and why, in one sentence."""
    return f"Not trained: {night.view.in_words}"


def _row(slot: SlotView) -> SlotRow:
    return SlotRow(
        hours=f"{2 * slot.slot:02d}:00–{2 * slot.slot + 2:02d}:00",
        state=slot.state,
        agreement=words.figure(slot.agreement),
        lost=words.percent(slot.lost),
        why=slot.why,
    )


def _drawn(glimpse: Glimpse, stamp: str) -> Markup:
    jpeg = encode_jpeg(glimpse.image, max_bytes=PICTURE_BYTES)
    height, width = glimpse.image.shape[:2]
    data = "data:image/jpeg;base64," + base64.b64encode(jpeg).decode("ascii")
    picture = svg.tag("image", href=data, width=width, height=height)
    label = f"What the camera saw at {stamp}"
    return svg.tag("svg", picture, viewBox=f"0 0 {width} {height}", role="img", aria_label=label)
