"""Does the camera still show the same view? Tells a moved or covered lens from light and weather.

Each slot's background is compared with those of the same slot on earlier days (`background.py`): at
the same place, shifted, turned and zoomed, and cell by cell. Two hours alone prove nothing: a day
is called `moved` or `covered` when the latest slots that could be judged agree on it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from culling_pipeline.monitoring.background import (
    WIDTH_PX,
    Background,
    Edges,
    Picture,
    agreement,
    best_shift,
    edges_of,
)
from culling_pipeline.records.monitoring import SlotView, ViewRecord, ViewState

_Number = TypeVar("_Number", np.complex64, np.float32)

REFERENCES = 7
"""The most earlier days that a day is compared with …"""
FEWEST = 2
"""… and the fewest, in each slot."""
AGREEING = 3
"""Slots that must agree before a day is called moved or covered: six hours."""
SETTLED = 3
"""After this many whole days in a new place, it becomes the usual one."""

_SUSPICIOUS = 0.75
"""Share of the usual agreement above which a view is the same, if no other place fits better."""
_BETTER = 0.15
"""How much better another place must agree for the camera to have moved there …"""
_FOUND = 0.4
"""… and how far it must agree at all."""
_STILL_PX = 1
"""A shift of a small pixel (0.6 % of the width) is wind."""
_LOST = 0.25
"""A lens counts as covered from this share of the picture whose edges are gone."""
_CELL_AGREES = 0.3
_CELL_PX = 16
_FLAT = 0.5
"""Edges with less than this share of their usual strength are hidden, not moved."""
_BLURRED = 0.6
"""Below this share of the usual ratio of fine to coarse edges, the picture is out of focus."""
_NO_EDGES = 0.4
"""Mean gradient, in grey levels a pixel, below which a reference shows nothing to compare with."""


class PastDay(NamedTuple):
    """An earlier day and its verdict."""

    background: Background
    state: ViewState


def watch_view(past: Sequence[PastDay], today: Background) -> ViewRecord:
    """The verdict on today, given the earlier days, oldest first. A new view that has stayed the
    same for `SETTLED` whole days is `settled`: it becomes the usual one."""
    usual, moved = references(past)
    verdict = compare(usual, today)
    if verdict.state != "moved" or len(moved) < SETTLED:
        return verdict
    there = compare(moved[1 - SETTLED :], today)
    if there.state != "same":
        return verdict
    reason = f"the new view has stayed the same for {SETTLED} days and is now the usual one"
    return ViewRecord(date=verdict.date, state="settled", reason=reason, slots=there.slots)


def references(past: Sequence[PastDay]) -> tuple[list[Background], list[Background]]:
    """The earlier days with the usual view, and the days since then with another view."""
    usual: list[Background] = []
    moved: list[Background] = []
    for background, state in past:
        if state == "moved":
            moved.append(background)
        elif state == "settled":
            usual, moved = [*moved[1 - SETTLED :], background], []
        elif state in ("same", "learning"):
            usual, moved = [*usual, background], []
    return usual[-REFERENCES:], moved


def compare(usual: Sequence[Background], today: Background) -> ViewRecord:
    """Today against days of the usual view. Pictures of another shape are not compared."""
    slots = []
    for slot, picture in sorted(today.slots.items()):
        there = [b.slots[slot] for b in usual if slot in b.slots]
        there = [p for p in there if p.shape == picture.shape]
        if len(there) >= FEWEST:
            px = today.full_width_px / WIDTH_PX
            slots.append(_view_of(slot, _Reference.of(there), picture, px))
    return _day(today, slots)


# -- a day from its slots --------------------------------------------------------------------------


def _day(today: Background, slots: Sequence[SlotView]) -> ViewRecord:
    judged = [s for s in slots if s.state != "unknown"]
    state, reason, since = _said_of(judged)
    return ViewRecord(
        date=today.date,
        state=state,
        reason=reason,
        since_hour=since,
        slots=tuple(slots),
    )


def _said_of(judged: Sequence[SlotView]) -> tuple[ViewState, str, int | None]:
    if len(judged) < AGREEING:
        return "learning", _too_few(len(judged)), None
    bad = _last_bad(judged)
    if len(bad) >= AGREEING:
        states = [s.state for s in bad[-AGREEING:]]
        state: ViewState = "covered" if states.count("covered") > states.count("moved") else "moved"
        why = next(s.why for s in reversed(bad) if s.state == state)
        since = None if len(bad) == len(judged) else 2 * bad[0].slot
        return state, why, since
    same = sum(s.state == "same" for s in judged)
    if 2 * same >= len(judged):
        odd = [f"{2 * s.slot}:00" for s in judged if s.state != "same"]
        return "same", "as usual" + (f", except at {', '.join(odd)}" if odd else ""), None
    return "unsure", f"as usual in only {same} of {len(judged)} slots", None


def _too_few(compared: int) -> str:
    slots = "slot" if compared == 1 else "slots"
    return f"{compared} {slots} of the day could be compared with earlier days, {AGREEING} needed"


def _last_bad(judged: Sequence[SlotView]) -> list[SlotView]:
    """The slots at the end of the day that are all not the same."""
    first = max((n for n, s in enumerate(judged) if s.state == "same"), default=-1) + 1
    return list(judged[first:])


# -- one slot --------------------------------------------------------------------------------------


class _Reference(NamedTuple):
    """What a slot looks like: mean direction [H,W] (an edge that was not there every day counts for
    less), mean strength [H,W], its days' lowest agreement with the others, and sharpness."""

    direction: NDArray[np.complex64]
    strength: NDArray[np.float32]
    usual: float
    sharpness: float

    @classmethod
    def of(cls, pictures: Sequence[Picture]) -> _Reference:
        days = [edges_of(picture) for picture in pictures]
        total = np.sum([d.direction for d in days], axis=0)
        usual = min(agreement(total - d.direction, d.direction) for d in days)
        return cls(
            (total / len(days)).astype(np.complex64),
            np.mean([d.strength for d in days], axis=0),
            usual,
            float(np.median([_sharpness(d) for d in days])),
        )


def _sharpness(edges: Edges) -> float:
    return float(edges.strength.mean()) / max(edges.coarse, 1e-3)


def _view_of(slot: int, reference: _Reference, picture: Picture, px: float) -> SlotView:
    if reference.strength.mean() < _NO_EDGES or reference.usual < _FOUND:
        return SlotView(slot=slot, state="unknown", why="the earlier days show too few edges")
    edges = edges_of(picture)
    here = agreement(reference.direction, edges.direction)
    lost, hidden = _lost(reference, edges)
    view = SlotView(slot=slot, state="same", agreement=here, lost=lost)
    shift = best_shift(reference.direction, edges.direction)
    far = max(abs(shift.x_px), abs(shift.y_px)) > _STILL_PX
    shifted = far and shift.agreement >= max(_FOUND, here + _BETTER)
    enough = _SUSPICIOUS * reference.usual
    if shifted and shift.agreement >= enough:
        return _moved(view, shift.x_px * px, shift.y_px * px)
    if _sharpness(edges) < _BLURRED * reference.sharpness:
        return _covered(view, "the picture is blurred or empty")
    if here >= enough and lost < _LOST:
        return view
    if lost >= _LOST and hidden >= 0.5:
        return _covered(view, f"{lost:.0%} of the picture is hidden")
    least = max(_FOUND, here + _BETTER, shift.agreement if shifted else 0.0)
    turned = _turned(view, reference, picture, px, least=least)
    if turned is not None:
        return turned
    if shifted:
        return _moved(view, shift.x_px * px, shift.y_px * px)
    return _changed(view)


def _changed(view: SlotView) -> SlotView:
    """A view neither shifted nor turned, judged by how much of it is different."""
    if view.lost < _LOST:
        return view
    if view.lost < 0.8:
        return _covered(view, f"something hides {view.lost:.0%} of the picture")
    why = "the picture is different: turned away, or something new is in front of the lens"
    return view.changed(state="moved", why=why)


def _moved(view: SlotView, x_px: float, y_px: float) -> SlotView:
    why = f"the picture has moved by {abs(x_px):.0f} px {'right' if x_px > 0 else 'left'}"
    why += f" and {abs(y_px):.0f} px {'down' if y_px > 0 else 'up'}"
    return view.changed(state="moved", x_px=x_px, y_px=y_px, why=why)


def _covered(view: SlotView, why: str) -> SlotView:
    return view.changed(state="covered", why=why)


def _lost(reference: _Reference, edges: Edges) -> tuple[float, float]:
    """The share of the reference's cells whose edges are not there any more, and of these the share
    that is flat now. Cells without edges of their own do not count."""
    a, b = _cells(reference.direction), _cells(edges.direction)
    own = (np.abs(a) ** 2).sum(axis=1)
    weight = np.sqrt(own * (np.abs(b) ** 2).sum(axis=1))
    agree = (a.conj() * b).real.sum(axis=1) / np.maximum(weight, 1e-6)
    counts = own > 0.25 * np.median(own)
    gone = counts & (agree < _CELL_AGREES)
    before, now = _cells(reference.strength).mean(axis=1), _cells(edges.strength).mean(axis=1)
    flat = gone & (now < _FLAT * before)
    return gone.sum() / max(counts.sum(), 1), flat.sum() / max(gone.sum(), 1)


def _cells(picture: NDArray[_Number]) -> NDArray[_Number]:
    """[H,W] → [cells, pixels of one]; what is left over at the edges is dropped."""
    rows, columns = (side // _CELL_PX for side in picture.shape)
    cut = picture[: rows * _CELL_PX, : columns * _CELL_PX]
    cells = cut.reshape(rows, _CELL_PX, columns, _CELL_PX).swapaxes(1, 2)
    return cells.reshape(rows * columns, _CELL_PX**2)


def _turned(
    view: SlotView, reference: _Reference, picture: Picture, px: float, *, least: float
) -> SlotView | None:
    """The view, if turning or zooming the picture back makes it agree by more than `least`."""
    best, found = least, None
    for turn_deg, zoom in _turns():
        back = _turned_back(picture, turn_deg, zoom)
        shift = best_shift(reference.direction, edges_of(back).direction)
        if shift.agreement > best:
            best, found = shift.agreement, (turn_deg, zoom, shift)
    if found is None:
        return None
    turn_deg, zoom, shift = found
    how = f"turned by about {turn_deg:+g}°" if turn_deg else f"zoomed to about {zoom:.0%}"
    moved = _moved(view, shift.x_px * px, shift.y_px * px)
    return moved.changed(turn_deg=turn_deg, zoom=zoom, why=f"the picture is {how}")


def _turns() -> Iterator[tuple[float, float]]:
    for turn in (1.5, 4.0, 7.0, 10.0, 13.0):
        yield from ((turn, 1.0), (-turn, 1.0))
    for zoom in (1.04, 1.09, 1.15, 1.22, 1.3):
        yield from ((0.0, zoom), (0.0, 1 / zoom))


def _turned_back(picture: Picture, turn_deg: float, zoom: float) -> Picture:
    height, width = picture.shape
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), -turn_deg, 1 / zoom)
    turned = cv2.warpAffine(picture, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(turned, np.uint8)
