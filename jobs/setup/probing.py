"""Looks at a camera's source for the first time, and describes it in words and as JSON."""

from __future__ import annotations

import os
import queue
import threading
from typing import TYPE_CHECKING

from culling_pipeline.report import words
from jobs.config.load import RECORDINGS
from jobs.config.settings import CameraConfig
from jobs.errors import redact
from streams.base import SourceUnreadableError
from streams.keyframes import TOLERANCE

if TYPE_CHECKING:
    from streams.probe import Probe

WATCHED_SHARE = 3.0
"""A live camera is watched for at most the time limit divided by this; the rest is for opening
it."""


def probe_camera(camera: CameraConfig, *, watched_s: float | None = None) -> Probe:
    """Open the camera's source and look; a live one is watched for at most `watched_s`."""
    from jobs.cameras.sources import open_unmasked, picture_options
    from streams.probe import WATCHED_S, look_at, probe

    if camera.source.startswith(RECORDINGS):
        with open_unmasked(camera) as source:
            return look_at(source, camera=camera.name, interval_s=camera.sample_interval_s)
    return probe(
        camera.source,
        camera=camera.name,
        options=camera.live.to_options(must_answer=True),
        watched_s=min(WATCHED_S, watched_s or WATCHED_S),
        pictures=picture_options(camera),
        interval_s=camera.sample_interval_s,
    )


def probe_within(camera: CameraConfig, timeout_s: float) -> Probe:
    """As `probe_camera`; a camera that exceeds the time limit is left behind in its thread."""
    answers: queue.Queue[Probe | Exception] = queue.Queue()

    def look() -> None:
        try:
            answers.put(probe_camera(camera, watched_s=timeout_s / WATCHED_SHARE))
        except Exception as error:  # raised again below
            answers.put(error)

    threading.Thread(target=look, daemon=True).start()
    try:
        answer = answers.get(timeout=timeout_s)
    except queue.Empty:
        answer = SourceUnreadableError(too_late(camera, timeout_s))
    if isinstance(answer, Exception):
        raise answer
    return answer


def too_late(camera: CameraConfig, timeout_s: float) -> str:
    """The error message for a camera that has not answered in time. A file on this disk is neither
    off nor far away; on a busy machine even the first look at it takes its time."""
    here = os.path.exists(camera.source)
    asked = (
        "is the machine busy, or the disk slow? --timeout-s gives it longer"
        if here
        else "is the camera on, and can this machine reach it?"
    )
    return (
        f"camera {camera.name!r}: no frame from {camera.source_shown} in {timeout_s:g} s: {asked}"
    )


def found_to_dict(found: Probe) -> dict[str, object]:
    """As JSON; what is not known is null."""
    info = found.info
    return {
        "kind": info.kind,
        "live": found.is_live,
        "width_px": info.width_px,
        "height_px": info.height_px,
        "rate_fps": _rounded(info.rate_fps),
        "codec": info.codec,
        "keyframe_interval_s": _rounded(info.keyframe_interval_s),
        "duration_s": _rounded(info.duration_s),
        "frames": found.frames,
        "to_fetch": found.to_fetch,
        "look_bytes": found.look_bytes,
        "said": list(info.said),
    }


def found_in_words(found: Probe) -> str:
    """Kind, size, rate, codec and keyframe interval, as far as they are known."""
    return ", ".join(figures(found).values())


def figures(found: Probe) -> dict[str, str]:
    """What is known, by name."""
    info = found.info
    rate_fps, interval_s = _rounded(info.rate_fps), _rounded(info.keyframe_interval_s)
    said = {
        "kind": f"{info.kind} (live)" if found.is_live else info.kind,
        "size": f"{info.width_px}×{info.height_px}",
        "rate": f"{rate_fps:g} pictures/s" if rate_fps else "",
        "codec": info.codec or "",
        "keyframes": f"a keyframe every {interval_s:g} s" if interval_s else "",
        "length": f"{info.duration_s:,.0f} s long" if info.duration_s else "",
        "said": ", ".join(info.said),
        "fetch": _fetched(found),
    }
    return {name: text for name, text in said.items() if text}


def advice(camera: CameraConfig, found: Probe | None) -> list[str]:
    """What could be better about this source; `found` is None if it could not be opened."""
    from streams.open import is_youtube

    is_site = is_youtube(camera.source) if found is None else found.is_site
    said = [_missing_runtime()] if is_site else []
    plays = camera.source.startswith(RECORDINGS) and camera.recordings.read == "all"
    if found is not None and (found.is_live or plays):
        said.append(_rare_keyframes(camera, found.info.keyframe_interval_s))
    return [redact(text) for text in said if text]


def _missing_runtime() -> str | None:
    from streams.site import missing_runtime_advice

    return missing_runtime_advice()


def _rare_keyframes(camera: CameraConfig, interval_s: float | None) -> str | None:
    wanted_s = camera.sample_interval_s
    if interval_s is None or interval_s <= (1 + TOLERANCE) * wanted_s:
        return None
    if camera.live.sampling == "exact":
        return None
    if camera.live.sampling == "keyframes":
        return f"with sampling: keyframes there is but one frame every {interval_s:.2g} s"
    return (
        f"keyframes come more seldom than frames are sampled (every {wanted_s:g} s), so every "
        "picture has to be decoded: set the keyframe (I-frame, GOP) interval in the camera's own "
        f"settings to {wanted_s:g} s, and reading it costs about a tenth"
    )


def _fetched(found: Probe) -> str:
    """What a night fetches from a server, as far as that is known before its budget."""
    if found.to_fetch is None:
        return ""
    if found.look_bytes is None:
        return f"a night fetches about {words.size(found.to_fetch)}"
    return (
        f"a night fetches about {words.size(found.look_bytes)} for each look, never more than "
        f"{words.size(found.to_fetch)}"
    )


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 2)
