"""A night in a few words: as JSON for programs, as a table for the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from culling_pipeline.records.night import AnyNight, NightRecord, UnusableNight
from culling_pipeline.report.sentences import earlier_words, feed_words, gate_words, headline
from jobs.cameras.reports import report_path
from jobs.commands.listing import Listing, Name
from jobs.config.settings import Config
from jobs.database.figures import Figures
from jobs.database.nights import Night
from jobs.errors import describe
from streams.left_out import in_words

if TYPE_CHECKING:
    from jobs.setup.check import Finding
    from jobs.watch.watch import CameraWatch


def night_to_dict(config: Config, night: Night, record: AnyNight | None) -> dict[str, Any]:
    """The night with its whole record; `report` is None if it does not exist."""
    path = report_path(config, night.camera, night.run_id)
    return {
        "run_id": night.run_id,
        "state": night.state,
        "error": night.error,
        "unusable": night.unusable,
        "report": str(path) if path.is_file() else None,
        "figures": None if night.figures is None else night.figures.to_json(),
        "record": None if record is None else record.model_dump(mode="json"),
    }


def demo_to_dict(config: Config, record: NightRecord) -> dict[str, Any]:
    """The demo's night as one flat object."""
    judge = record.judge
    metric = judge.after.score.metric.lower()
    return {
        "camera": record.camera,
        "frames_seen": record.ingest.frames_seen,
        "survivors": len(record.asked),
        "kept": len(record.cull.kept),
        "scale": record.resolution.scale,
        f"{metric}_before": judge.before.score.value,
        f"{metric}_after": judge.after.score.value,
        f"{metric}_random": None if judge.random is None else judge.random.score.value,
        "promoted": judge.promoted,
        "report": str(report_path(config, record.camera, record.run_id)),
        "ledger": {c.stage: {"images": c.images, "seconds": c.seconds} for c in record.ledger},
        "cost_ratio": record.cost_ratio,
    }


def in_one_line(config: Config, record: NightRecord) -> str:
    """The night's result in one line, and where its report lies."""
    path = report_path(config, record.camera, record.run_id)
    return f"{record.camera}: {headline(record.judge)}. Open {path} for the report."


def nights_table(config: Config, nights: Mapping[str, Night | None]) -> Listing:
    """One row per camera."""
    table = Listing("camera", "night", "state", "kept", "before → after", "random", "model")
    for camera, night in nights.items():
        if night is None:
            table.add_row(Name(camera), "none yet")
        elif night.figures is None:
            said = f"not trained: {night.unusable}" if night.unusable else night.error or ""
            table.add_row(Name(camera), Name(night.run_id), night.state, "", said)
        else:
            table.add_row(Name(camera), Name(night.run_id), night.state, *_in_a_row(night.figures))
    return table


def _in_a_row(figures: Figures) -> tuple[str, ...]:
    random = figures.score_random
    return (
        f"{figures.kept:,}",
        f"{figures.score_before:.3f} → {figures.score_after:.3f} {figures.metric}",
        "–" if random is None else f"{random:.3f}",
        "new" if figures.promoted else "old",
    )


def night_table(config: Config, night: Night, record: AnyNight | None) -> Listing:
    """One night's figures, one a row."""
    table = Listing("", Name(night.camera))
    table.add_row("night", Name(night.run_id))
    table.add_row("state", night.state)
    if night.error is not None:
        table.add_row("error", night.error)
    cells: dict[str, str] = {}
    if isinstance(record, UnusableNight):
        cells = _unusable(record)
    elif record is not None:
        cells = _figures(record)
    path = report_path(config, night.camera, night.run_id)
    for name, value in (cells | ({"report": Name(path)} if path.is_file() else {})).items():
        table.add_row(name, value)
    return table


def record_table(config: Config, record: NightRecord) -> Listing:
    """One night's figures, one a row."""
    table = Listing("", Name(record.camera))
    path = report_path(config, record.camera, record.run_id)
    for name, value in (_figures(record) | {"report": Name(path)}).items():
        table.add_row(name, value)
    return table


def findings_table(findings: Sequence[Finding]) -> Listing:
    """What `culling check` found, one row per check."""
    table = Listing("camera", "part", "", "what was found")
    for finding in findings:
        mark = "wrong" if finding.exit_code else "ok"
        table.add_row(Name(finding.camera), finding.part, mark, finding.detail)
    return table


def _figures(record: NightRecord) -> dict[str, str]:
    judge, random = record.judge, record.judge.random
    gate, feed = gate_words(record.ingest.gate), feed_words(record.ingest.feed)
    corrected = record.train.corrected + record.label.corrected
    cells = {
        "frames seen": f"{record.ingest.frames_seen:,}",
        **({"left out": in_words(record.ingest.left_out)} if record.ingest.left_out else {}),
        **({"change gate": gate} if gate else {}),
        **({"watched": feed} if feed else {}),
        "survivors": f"{len(record.asked):,}",
        "kept": f"{len(record.cull.kept):,}",
        **({"corrected by hand": f"{corrected:,}"} if corrected else {}),
        **({"of earlier nights": f"{record.train.replayed:,}"} if record.train.replayed else {}),
        "scale": f"{record.resolution.scale:.2f}",
        "computation": f"{record.train.computation:.0%} of standard training",
        f"{judge.after.score.metric} before → after": (
            f"{judge.before.score.value:.3f} → {judge.after.score.value:.3f}"
        ),
    }
    if said := earlier_words(judge):
        cells["on earlier days"] = said
    if random is not None:
        after = judge.after.score.value
        cells["culled vs random"] = (
            f"{after:.3f} vs {random.score.value:.3f} at the same total cost"
        )
    cells["in use"] = ("the new model: " if judge.promoted else "the old model: ") + judge.reason
    if record.notes:
        cells["note"] = " ".join(record.notes)
    if record.view is not None:
        cells["view"] = record.view.reason
    if record.drift is not None:
        cells["drift"] = record.drift.reason
    cells["time"] = f"{record.night_s:,.0f} s"
    return cells


def _unusable(record: UnusableNight) -> dict[str, str]:
    feed = feed_words(record.ingest.feed)
    return {
        "frames seen": f"{record.ingest.frames_seen:,}",
        **({"left out": in_words(record.ingest.left_out)} if record.ingest.left_out else {}),
        **({"watched": feed} if feed else {}),
        "not trained": record.why,
        "in use": "the old model",
    }


def feeds_to_dict(service: CameraWatch) -> dict[str, dict[str, Any]]:
    """What each camera has given since `culling ingest` was started, as JSON."""
    return {name: _feed(service, name) for name in service.feeds}


def feeds_table(service: CameraWatch) -> Listing:
    """The same as a table."""
    headings = ("camera", "state", "frames", "scored", "dropped", "not stored")
    table = Listing(*headings, title="watched")
    for name, found in feeds_to_dict(service).items():
        counts = (found["frames_seen"], found["scored"], found["dropped"], found["paused"])
        table.add_row(Name(name), found["state"], *map(str, counts))
    return table


def _feed(service: CameraWatch, name: str) -> dict[str, Any]:
    tally, watcher = service.feeds[name].tally, service.watchers[name]
    condition = watcher.condition
    state = "could not be read" if watcher.error else "read to its end"
    return {
        "state": state if condition is None else condition.state,
        "error": None if watcher.error is None else describe(watcher.error),
        "frames_seen": tally.seen,
        "scored": tally.scored,
        "dropped": tally.dropped,
        "paused": tally.paused,
    }
