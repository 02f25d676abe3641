"""The lines of docs/guide/recorders.md, as they stand there, on a small tree of each recorder."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
import yaml

from jobs.cli import run
from jobs.config.load import load_config
from jobs.errors import EXIT_STREAM
from jobs.setup.probing import probe_camera
from tests.unit.recorder import put, segment_file

GUIDE = Path(__file__).resolve().parents[2] / "docs" / "guide" / "recorders.md"
TREES = {
    "Frigate": ("frigate", "%Y-%m-%d/%H/front_yard/%M.%S.mp4"),
    "motionEye": ("motioneye", "Camera1/%Y-%m-%d/%H-%M-%S.mp4"),
    "Shinobi": ("shinobi", "monitor1/%Y-%m-%dT%H-%M-%S.mp4"),
    "MediaMTX": ("mediamtx", "yard_cam/%Y-%m-%d_%H-%M-%S-000000.mp4"),
    "ZoneMinder": ("zoneminder", "1/%y/%m/%d/%H/%M/%S/77-video.mp4"),
    "Dahua, Amcrest": ("dahua", "%Y-%m-%d/001/dav/%H/%H.%M.%S-{end}[M][0@0][0].dav"),
    "Reolink": ("reolink", "Yard_00_%Y%m%d%H%M%S.mp4"),
    "Synology Surveillance Station": ("synology", "Yard/%Y%m%d%p/Yard%Y%m%d-%H%M%S-{epoch}.mp4"),
    "Blue Iris": ("blue_iris", "Yard.%Y%m%d_%H%M%S.mp4"),
    "Any other": ("pattern", "%Y/%m/%d/yard_%H%M%S.mp4"),
}
"""By the name in the guide: the layout that is found, and where a segment lies."""
ZONES = {"Frigate": "UTC", "Dahua, Amcrest": "Europe/Berlin", "Any other": "UTC"}


def lines_of(recorder: str) -> str:
    """The example under this recorder's name."""
    text = GUIDE.read_text(encoding="utf-8")
    below = text[text.index(f"**{recorder}") :]
    found = re.search(r"```yaml\n(.*?)```", below, flags=re.DOTALL)
    assert found is not None
    return found[1]


def test_every_example_of_the_guide_is_tried() -> None:
    text = GUIDE.read_text(encoding="utf-8")
    assert text.count("```yaml") == len(TREES)


def test_the_crontab_line_is_for_the_camera_of_every_example(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It comes as far as the missing folder: the command is understood, and the camera known."""
    text = GUIDE.read_text(encoding="utf-8")
    found = re.search(r"^0 3 \* \* \*  cd /\S+ && \S+/culling (.+)$", text, re.MULTILINE)
    assert found is not None
    monkeypatch.chdir(tmp_path)
    for recorder in TREES:
        lines = lines_of(recorder).replace("recordings:/", f"recordings:{tmp_path}/gone/")
        (tmp_path / "config.yaml").write_text(lines, encoding="utf-8")
        assert run(found[1].split()) == EXIT_STREAM


@pytest.mark.parametrize("recorder", TREES)
def test_the_lines_of_the_guide_find_the_recorders_day(recorder: str, tmp_path: Path) -> None:
    layout, naming = TREES[recorder]
    zone = ZoneInfo(ZONES[recorder]) if recorder in ZONES else None
    clip = segment_file(tmp_path / "clip", suffix="mp4")
    for minutes in (62, 61, 60):
        start = (datetime.now(UTC) - timedelta(minutes=minutes)).astimezone(zone)
        end = start + timedelta(seconds=10)
        name = start.strftime(naming).replace("{epoch}", str(int(start.timestamp())))
        put(clip, tmp_path / "rec" / name.replace("{end}", f"{end:%H.%M.%S}"))
    written = lines_of(recorder)
    source = yaml.safe_load(written)["cameras"]["yard"]["source"]
    config = tmp_path / "config.yaml"
    config.write_text(written.replace(source, f"recordings:{tmp_path / 'rec'}"), encoding="utf-8")
    found = probe_camera(load_config(config).cameras["yard"])
    said = ", ".join(found.info.said)
    assert (f"layout {layout}" in said) or layout == "pattern", said
    assert "3 files" in said
    assert found.frames == pytest.approx(30, abs=3)
