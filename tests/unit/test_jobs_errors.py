"""The table from errors to exit codes, the words of an error, and progress on stderr."""

from __future__ import annotations

import ast
import errno
import io
import subprocess
from pathlib import Path

import pytest

import culling_pipeline.errors as errors_module
from culling_pipeline.errors import CullingError
from culling_pipeline.run.progress import NoProgress, Progress
from culling_pipeline.tasks.boxes.coco_files import DatasetError
from culling_pipeline.training.loop import TrainingError
from jobs.commands.progress import BarProgress, LineProgress, open_progress
from jobs.database.connection import StoreError
from jobs.errors import (
    ConfigError,
    NightError,
    UsageError,
    describe,
    disk_full_cause,
    exit_code,
    redact,
)
from models.errors import ModelError, WeightsError
from streams.base import SourceNotFoundError, StreamError


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigError("x"), 2),
        (UsageError("x"), 2),
        (StreamError("x"), 3),
        (SourceNotFoundError("x"), 3),
        (ModelError("x"), 4),
        (WeightsError("x"), 4),
        (NightError("x"), 5),
        (StoreError("x"), 5),
        (TrainingError("x"), 5),
        (CullingError("x"), 5),
        (DatasetError("x"), 2),
        (OSError(errno.ENOSPC, "full"), 5),
        (ZeroDivisionError("x"), 5),
        (KeyboardInterrupt(), 130),
    ],
)
def test_exit_codes(error: BaseException, code: int) -> None:
    assert exit_code(error) == code


def test_all_errors_of_the_night_have_one_base() -> None:
    folder = Path(errors_module.__file__).parent
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in folder.rglob("*.py")]
    classes = [c for tree in trees for c in ast.walk(tree) if isinstance(c, ast.ClassDef)]
    ours = {
        c.name: [ast.unparse(base) for base in c.bases] for c in classes if c.name.endswith("Error")
    }
    assert ours.pop("CullingError") == ["Exception"]
    assert len(ours) >= 5
    assert {name for name, bases in ours.items() if bases != ["CullingError"]} == set()


def test_the_codes_are_those_of_the_design() -> None:
    import jobs.errors

    codes = {k: v for k, v in vars(jobs.errors).items() if k.startswith("EXIT_") and k.isupper()}
    assert sorted(codes.values()) == [0, 2, 3, 4, 5, 130, 141]


def test_a_full_disk_says_where_and_what_to_do(tmp_path: Path) -> None:
    full = OSError(errno.ENOSPC, "No space left on device", str(tmp_path / "frames" / "1.jpg"))
    night = NightError("ingest failed")
    night.__cause__ = full
    text = describe(night)
    assert text.startswith(f"the disk is full at {tmp_path}/frames/1.jpg (")
    assert "MiB free; a camera's night needs about 2048 MiB" in text
    assert "goes on where it stopped" in text
    assert disk_full_cause(night) is full
    assert disk_full_cause(NightError("x")) is None
    assert f"at {tmp_path} (" in describe(OSError(errno.ENOSPC, "x"), data_dir=tmp_path)


def test_what_nobody_expected_is_named_and_what_we_wrote_is_not() -> None:
    assert describe(ZeroDivisionError("by zero")) == (
        "unexpected ZeroDivisionError: by zero (--debug shows where)"
    )
    assert describe(TrainingError("a loss is not finite")) == "a loss is not finite"
    assert describe(KeyboardInterrupt()).startswith("interrupted: run the same command again")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("cannot open rtsp://me:pw@cam/1: refused", "cannot open rtsp://***@cam/1: refused"),
        ("rtsp://me:p@w/x?@cam", "rtsp://***@cam"),
        ("a@b and http://cam/1", "a@b and http://cam/1"),
    ],
)
def test_passwords_are_cut_out(text: str, shown: str) -> None:
    assert redact(text) == shown
    assert describe(StreamError(text)) == shown


# -- progress --------------------------------------------------------------------------------------


def test_lines_for_logs_at_most_one_in_half_a_minute() -> None:
    stream, now = io.StringIO(), [0.0]
    progress: Progress = LineProgress(stream, clock_s=lambda: now[0])
    with progress.stage("labelling", 10) as advance:
        for now[0] in (1.0, 29.0, 31.0, 40.0, 62.0):
            advance(1)
    progress.note("kept the old model")
    assert stream.getvalue().splitlines() == [
        "labelling: begins (10)",
        "labelling: 3/10, 31 s, about 72 s left",
        "labelling: 5/10, 62 s, about 62 s left",
        "labelling: done, 5/10, 62.0 s",
        "kept the old model",
    ]


def test_a_stage_that_fails_is_not_called_done() -> None:
    stream = io.StringIO()
    with pytest.raises(NightError, match="no"), LineProgress(stream).stage("training"):
        raise NightError("no")  # noqa: EM101
    assert stream.getvalue() == "training: begins\n"


def test_bars_for_people() -> None:
    stream = io.StringIO()
    progress: Progress = BarProgress(stream)
    with progress.stage("labelling") as advance:
        advance(4)
    progress.note("[kept]")
    assert "labelling" in stream.getvalue()
    assert "4/4" in stream.getvalue()
    assert "[kept]" in stream.getvalue()


def test_the_stream_decides() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    assert isinstance(open_progress(stream=io.StringIO()), LineProgress)
    assert isinstance(open_progress(stream=Terminal()), BarProgress)
    silent = open_progress(quiet=True)
    assert isinstance(silent, NoProgress)
    with silent.stage("x", 1) as advance:
        advance(1)
    silent.note("x")


def test_nothing_below_the_command_line_ends_the_process() -> None:
    root = Path(__file__).resolve().parents[2]
    found = subprocess.run(
        ["grep", "-rlE", r"sys\.exit|SystemExit|raise typer.Exit", "--include=*.py",
         "streams", "models", "culling_pipeline", "jobs"],
        cwd=root, capture_output=True, text=True, check=False,
    )  # fmt: skip
    ending = [name for name in found.stdout.split() if not name.startswith("jobs/commands/")]
    assert ending == ["jobs/cli.py"]
