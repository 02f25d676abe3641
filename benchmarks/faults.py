"""The fault table: what befalls a live camera, when it is noticed, and when frames come again.

    python -m benchmarks.faults [--only "404" …]

Needs root, GStreamer's RTSP server, iproute2 and nftables (`.ci/run` names the packages). Each row
has a camera of its own, with the settings as they ship, and takes up to three minutes. Writes
benchmarks/results/faults.json and faults.md.
"""

from __future__ import annotations

import argparse
import gc
import json
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from benchmarks import fault_disk
from benchmarks.fault_cameras import SCENES, Trial
from benchmarks.testbed.live import open_files, open_live
from benchmarks.testbed.servers.clips import RATE_FPS
from streams.failures import LASTING
from streams.live.health import HealthReport, State
from streams.live.source import LiveSource

RESULTS = Path(__file__).parent / "results"
FAULTS = (*SCENES, fault_disk.FAULT)
WELL_S = 6.0
"""How long the camera runs undisturbed before, and after the first frame since."""
POLL_S = 0.02
GIVEN_UP_S = 120.0
NOTICED_TIMES, RECOVERY_S = 3, 3.0
"""The limits: three time-outs to notice; the pause and so much more to the first frame."""
COLUMNS = {
    "fault": "fault",
    "shown": "shown",
    "noticed_s": "noticed after, s",
    "noticed_limit_s": "limit",
    "lasted_s": "lasted, s",
    "recovered_s": "first frame after its end, s",
    "of_it_pausing_s": "of it pausing between tries",
    "recovered_limit_s": "limit",
    "frames_sent": "frames until then",
    "frames_lost": "lost",
    "lost_after": "of them after its end",
    "rss_before_mib": "RSS before, MiB",
    "rss_after_mib": "after",
    "within_limits": "within limits",
}


@dataclass(slots=True)
class Log:
    """What a consumer who wants every frame has got, and each state the camera was in."""

    frames: list[tuple[float, bool]] = field(default_factory=list)
    """Monotonic second at which it was taken, and whether it is smeared."""
    states: list[tuple[float, HealthReport]] = field(default_factory=list)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="*", choices=FAULTS, default=FAULTS)
    rows = []
    for fault in parser.parse_args().only:
        rows.append(fault_disk.measure() if fault == fault_disk.FAULT else run(fault))
        print(json.dumps(rows[-1]), flush=True)
    write(rows + _earlier(rows))


def run(fault: str) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder, SCENES[fault](Path(folder)) as trial:
        with open_live(trial.url, trial.options) as source:
            log, done = Log(), threading.Event()
            watchers = [
                threading.Thread(target=_consume, args=(source, trial, log)),
                threading.Thread(target=_watch, args=(source, log, done)),
            ]
            for thread in watchers:
                thread.start()
            row = {"fault": fault, **_measure(source, trial, log)}
            done.set()
        for thread in watchers:
            thread.join()
    return row


def _consume(source: LiveSource, trial: Trial, log: Log) -> None:
    for frame in source.frames():
        smeared = trial.whole is not None and frame.image.tobytes() not in trial.whole
        log.frames.append((source._opened_s + frame.time_s, smeared))


def _watch(source: LiveSource, log: Log, done: threading.Event) -> None:
    """Each state and reason as it comes."""
    while not done.wait(POLL_S):
        report = source.health
        if not log.states or log.states[-1][1] != report:
            log.states.append((time.monotonic(), report))


def _measure(source: LiveSource, trial: Trial, log: Log) -> dict[str, Any]:
    time.sleep(WELL_S)
    before, started_s = _resources(), time.monotonic()
    damaged, tries = source.counts.damaged, source.counts.tries
    trial.strike()
    struck_s = time.monotonic()
    first_damaged_s = _await_damage(source, damaged, trial.lasts_s)
    time.sleep(max(0.0, struck_s + trial.lasts_s - time.monotonic()))
    shown = [(at_s, report) for at_s, report in log.states if at_s >= started_s]
    trial.mend()
    mended_s = time.monotonic()
    tries = source.counts.tries - tries
    came_s, tried_s = _await_frame(source, log, mended_s)
    time.sleep(WELL_S)
    noticed = [at_s for at_s, report in shown if report.state is not State.LIVE]
    noticed += [] if first_damaged_s is None else [first_damaged_s]
    pause_s = _longest_pause_s(trial, tries, shown)
    row = {
        "shown": _in_words(shown, started_s),
        "noticed_s": round(min(noticed) - started_s, 2) if noticed else None,
        "noticed_limit_s": NOTICED_TIMES * trial.timeout_s,
        "lasted_s": round(mended_s - started_s, 1),
        "tries": tries,
        "recovered_s": None if came_s is None else round(came_s - mended_s, 2),
        "of_it_pausing_s": round(tried_s - mended_s, 2),
        "recovered_limit_s": pause_s + RECOVERY_S,
        **_frames(log, started_s, mended_s, came_s or time.monotonic()),
        "damaged": source.counts.damaged - damaged,
        **{f"{name}_before": value for name, value in before.items()},
        **{f"{name}_after": value for name, value in _resources().items()},
    }
    row["rss_before_mib"], row["rss_after_mib"] = row.pop("rss_before"), row.pop("rss_after")
    row["within_limits"] = _within(row)
    return row


def _await_damage(source: LiveSource, damaged: int, within_s: float) -> float | None:
    """When the first damaged picture was counted; None if there was none."""
    until_s = time.monotonic() + within_s
    while time.monotonic() < until_s:
        if source.counts.damaged > damaged:
            return time.monotonic()
        time.sleep(POLL_S)
    return None


def _await_frame(source: LiveSource, log: Log, mended_s: float) -> tuple[float | None, float]:
    """When the first frame came that the camera made after the fault, and when the last try for it
    began (the end of the fault if none had to); None if none ever came."""
    tried_s, tries = mended_s, source.counts.tries
    while time.monotonic() < mended_s + GIVEN_UP_S:
        if log.frames and log.frames[-1][0] > mended_s and source.health.state is State.LIVE:
            return time.monotonic(), tried_s
        if source.counts.tries > tries:
            tried_s, tries = time.monotonic(), source.counts.tries
        time.sleep(POLL_S)
    return None, tried_s


def _longest_pause_s(trial: Trial, tries: int, shown: list[tuple[float, HealthReport]]) -> float:
    """The longest pause that back-off may have been in at the end of so many tries; 0 for none."""
    if not any(report.state is State.LOST for _, report in shown):
        return 0.0
    if any(report.reason in LASTING for _, report in shown):
        return trial.options.longest_pause_s
    return min(trial.options.longest_pause_s, trial.options.first_pause_s * 2.0**tries)


def _frames(log: Log, struck_s: float, mended_s: float, came_s: float) -> dict[str, Any]:
    """What a camera at a steady rate would have given since the fault, and what we got."""
    taken = [(at_s, smeared) for at_s, smeared in log.frames if struck_s <= at_s < came_s]
    sent = round((came_s - struck_s) * RATE_FPS)
    sent_after = round((came_s - mended_s) * RATE_FPS)
    got_after = sum(at_s >= mended_s for at_s, _ in taken)
    return {
        "frames_sent": sent,
        "frames_lost": max(0, sent - len(taken)),
        "lost_after": max(0, sent_after - got_after),
        "smeared": sum(smeared for _, smeared in taken),
    }


def _in_words(shown: list[tuple[float, HealthReport]], since_s: float) -> str:
    """Each state once, with the second it began in and the latest reason given for it."""
    first: dict[State, tuple[float, str]] = {}
    for at_s, report in shown:
        began_s = first.get(report.state, (at_s, ""))[0]
        first[report.state] = (began_s, report.reason)
    words = [
        f"{state} at {at_s - since_s:.1f} s" + (f" ({reason})" if state is State.LOST else "")
        for state, (at_s, reason) in first.items()
    ]
    return ", ".join(words) or "live"


def _resources() -> dict[str, float]:
    gc.collect()
    rss_mib = psutil.Process().memory_info().rss / 2**20
    return {"rss": round(rss_mib, 1), "files": open_files()}


def _within(row: dict[str, Any]) -> bool:
    noticed, recovered = row["noticed_s"], row["recovered_s"]
    return (
        noticed is not None
        and recovered is not None
        and noticed <= row["noticed_limit_s"]
        and recovered <= row["recovered_limit_s"]
    )


def _earlier(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows of earlier runs that this one did not measure again."""
    path, measured = RESULTS / "faults.json", {row["fault"] for row in rows}
    found = json.loads(path.read_text()) if path.exists() else []
    return [row for row in found if row["fault"] in FAULTS and row["fault"] not in measured]


def write(rows: list[dict[str, Any]]) -> None:
    RESULTS.mkdir(exist_ok=True)
    rows = sorted(rows, key=lambda row: FAULTS.index(row["fault"]))
    (RESULTS / "faults.json").write_text(json.dumps(rows, indent=1, ensure_ascii=False) + "\n")
    lines = ["| " + " | ".join(COLUMNS.values()) + " |", "|---" * len(COLUMNS) + "|"]
    lines += ["| " + " | ".join(_cell(row[key]) for key in COLUMNS) + " |" for row in rows]
    (RESULTS / "faults.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "**no**"
    return "never" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    main()
