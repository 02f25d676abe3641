"""A night of a covered lens: nothing is learned from it, cut off or not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import cv2
import pytest

from benchmarks.testbed.tiny import (
    CAMERA,
    DAY,
    debris,
    stages_of,
    with_settings,
    write_config,
)
from culling_pipeline.monitoring.background import Background, median, shrunk
from culling_pipeline.monitoring.reference_views import save_day
from culling_pipeline.monitoring.viewpoint import PastDay
from culling_pipeline.records.night import UnusableNight
from culling_pipeline.run.progress import NoProgress
from jobs.config.load import load_config
from jobs.database import store as store_module
from jobs.database.store import NightJournal, Store
from jobs.nights.nightly import retrain_camera
from models.registry import ModelRegistry
from streams.synthetic.street.render import StreetRenderer
from streams.synthetic.street.scene import make_scene
from tests.integration import killed_night

COVERED = with_settings(
    source="synthetic://street?seed=5&hours=8&width=160&height=96",
    mask=[[[0, 0], [1, 0], [1, 1], [0, 1]]],  # all of the picture is black
    culling={"control": {"frames": 40, "share": 0.5}},
    teacher={"weights": "builtin:street-student"},  # opened, never asked
)
"""Sixty-six frames of eight hours."""
POINTS = ("view.before", "view.after", "done.before")


def usual_days(folder: Path) -> None:
    """Two days of the tiny camera's street, as earlier nights have left them."""
    renderer = StreetRenderer(make_scene(5, width_px=160, height_px=96))
    midnight = datetime(2026, 1, 1, tzinfo=UTC).astimezone()
    offset = int(midnight.utcoffset().total_seconds()) // 7200  # type: ignore[union-attr]
    folder.mkdir(parents=True)
    for day in (1, 2):
        slots = {}
        for slot in range(4):
            times = [day * 86_400 + (slot + (n + 0.5) / 3) * 7200 for n in range(3)]
            grey = (cv2.cvtColor(renderer.render(t)[0], cv2.COLOR_RGB2GRAY) for t in times)
            slots[(slot + offset) % 12] = shrunk(median(grey))
        past = PastDay(Background(DAY - timedelta(days=day), 160, slots), "same")
        save_day(past, folder / f"{past.background.date}.npz")


class PowerCutError(BaseException):
    """In place of the SIGKILL of `test_sigkill.py`, which needs a process of its own."""


def cut_the_power() -> None:
    raise PowerCutError


def test_a_covered_lens_ends_the_night_wherever_it_is_cut_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Given a camera with two usual days behind it, whose lens is covered now
    path = write_config(tmp_path, yard=COVERED)
    config = load_config(path)
    usual_days(config.views_dir(CAMERA))

    # When its night is cut off before and after the verdict on the view is kept, and at its end
    monkeypatch.setattr(killed_night, "die", cut_the_power)
    monkeypatch.setattr(store_module, "NightJournal", NightJournal)  # put back at the end
    for point in POINTS:
        with pytest.raises(PowerCutError):
            killed_night.run(path, point)
    killed_night.run(path, "none")

    # Then it is done, without labels, without training, and says why
    assert set(stages_of(config.data_dir)) == {"budget", "start", "ingest", "view"}
    with Store(config.data_dir) as store:
        (night,) = store.nights()
        record = store.record(night.id)
        assert isinstance(record, UnusableNight)
        assert (night.state, night.attempt, night.error) == ("done", len(POINTS) + 1, None)
        assert (night.figures, night.unusable) == (None, record.why)
        assert record.why.startswith("the lens was covered, the whole day: the picture is blurred")
        assert "clean or uncover it" in record.why
        registry = ModelRegistry(config.models_root)
        assert registry.versions(CAMERA) == [registry.incumbent(CAMERA)] == ["start"]
        assert store.history.of(CAMERA) == ()
        assert store.histories(nights=14) == {}
        page = (config.report_dir(CAMERA, night.run_id) / "index.html").read_text()
        assert "Not trained: the lens was covered" in page
        assert page.count("data:image/jpeg") == 4
        assert debris(config.data_dir) == []

        # And an undisturbed night of that day says the same
        again = retrain_camera(
            config, CAMERA, store=store, progress=NoProgress(), today=lambda: DAY
        )
        assert isinstance(again, UnusableNight)
        assert again.view == record.view
