"""How long do reports, plans and the service's own questions take with many cameras and nights?

    python -m benchmarks.scale [--cameras 1000] [--nights 90] [--share 0.5] [--postgres]

Fills a store with the nights of many cameras: 1,536 hard frames, 256 kept of them and 2,160
stored ones each, by way of one real record that is varied; then asks what `culling report`,
`culling plan` and a service ask. `--share` is the part of the nights that keep their whole record
(the figures, stages and dues of all are there), to spare the disk. Each question is asked several
times with a warm cache. "CPU" is this process's own share, on a machine that others use too. With
`--postgres`, a server of Debian's package is started for it.
Results: benchmarks/results/scale.json and scale.md.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import sqlalchemy as sa

from benchmarks.testbed.example_night import example_night
from benchmarks.testbed.nights import Quick, config_of, service_of
from culling_pipeline.records.labels import Disagreement
from culling_pipeline.records.night import NightRecord
from jobs.commands.summary import nights_table
from jobs.commands.tonight import tonight
from jobs.config.settings import Config
from jobs.database.figures import Figures
from jobs.database.store import Store
from jobs.database.tables import dues_table, records_table, stages_table
from jobs.database.tables import nights_table as nights
from jobs.service.forecast import forecast
from jobs.service.metrics import CullingCollector

RESULTS = Path(__file__).parent / "results"
SURVIVORS, VARIANTS, TIMES = 1536, 16, 7
STAGES = ("start", "ingest", "label", "cull", "resolution", "train", "judge", "promotion")
TODAY = datetime.now(UTC).replace(hour=3, minute=0, second=0, microsecond=0, tzinfo=None)
MIB = 2**20


def variant(seed: int) -> NightRecord:
    """A record as a busy camera leaves it."""
    random, record = np.random.default_rng(seed), example_night()
    survivors = tuple(
        Disagreement(
            frame_id=int(7 * k),
            teacher_objects=int(random.integers(0, 12)),
            missed=int(missed),
            invented=int(random.integers(0, 4)),
            average_precision=float(random.random()),
            found_labels=tuple(int(c) for c in random.integers(0, 3, 4)),
            missed_labels=tuple(int(c) for c in random.integers(0, 3, missed)),
        )
        for k, missed in enumerate(random.integers(0, 6, SURVIVORS))
    )
    frames = tuple(
        frame.model_copy(update={"confidence_loss": float(random.random())})
        for frame in record.ingest.frames
    )
    ingest = record.ingest.model_copy(update={"frames": frames})
    cull = record.cull.model_copy(update={"survivors": survivors})
    return record.model_copy(update={"ingest": ingest, "cull": cull})


# -- filling ---------------------------------------------------------------------------------------


def names_of(cameras: int) -> tuple[str, ...]:
    return tuple(f"camera-{k:04d}" for k in range(cameras))


def fill(store: Store, cameras: int, count: int, share: float) -> int:
    """All nights, the oldest first, as they would have come; how many keep their record."""
    variants = [variant(k) for k in range(VARIANTS)]
    packed = [zlib.compress(record.model_dump_json().encode()) for record in variants]
    figures = [Figures.of(record).model_dump(mode="json") for record in variants]
    random, kept = np.random.default_rng(0), 0
    for back in range(count, 0, -1):
        first = (count - back) * cameras + 1
        rows = list(night_rows(cameras, first, back, figures, random))
        whole = [row["id"] for row in rows if back == 1 or random.random() < share]
        kept += len(whole)
        with store.database.transaction() as connection:
            connection.execute(sa.insert(nights), rows)
            for some in range(0, len(whole), 50):
                ids = whole[some : some + 50]
                records = [{"night_id": k, "record": packed[k % VARIANTS]} for k in ids]
                connection.execute(sa.insert(records_table), records)
            connection.execute(sa.insert(stages_table), list(stage_rows(rows)))
            connection.execute(sa.insert(dues_table), list(due_rows(rows)))
    return kept


def night_rows(
    cameras: int, first: int, back: int, figures: list[dict[str, Any]], random: np.random.Generator
) -> Iterator[dict[str, Any]]:
    began = TODAY - timedelta(days=back)
    for k, camera in enumerate(names_of(cameras)):
        before, gain = float(random.uniform(0.6, 0.9)), float(random.uniform(-0.01, 0.03))
        own = {"score_before": before, "score_after": before + gain, "promoted": gain > 0.01}
        yield {
            "id": first + k, "camera": camera, "run_id": str(began.date()),
            "night_date": began.date(), "settings": "s", "state": "done", "attempt": 1, "pid": 1,
            "process": "a boot:1", "host": "vm", "started_at": began,
            "finished_at": began + timedelta(minutes=20), "figures": figures[k % VARIANTS] | own,
        }  # fmt: skip


def stage_rows(rows: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for row in rows:
        for name in STAGES:
            yield {
                "night_id": row["id"], "name": name, "result": {}, "finished_at": row["finished_at"]
            }  # fmt: skip


def due_rows(rows: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """One in seven was left out: its night is there, since somebody ran it by hand later."""
    for row in rows:
        dropped = row["id"] % 7 == 0
        yield {
            "camera": row["camera"], "due_at": row["started_at"], "reason": "schedule",
            "state": "dropped" if dropped else "done", "attempt": 0 if dropped else 1,
            "not_before": row["started_at"], "finished_at": row["finished_at"],
            "started_at": None if dropped else row["started_at"],
            "night_id": None if dropped else row["id"],
        }  # fmt: skip


# -- asking ----------------------------------------------------------------------------------------


def slowest(work: Callable[[], object]) -> dict[str, float]:
    """Seconds of several times, and the growth of this process in the later ones."""
    process, seconds = psutil.Process(), []
    work()
    before, cpu_s = process.memory_info().rss, time.process_time()
    for _ in range(TIMES):
        began_s = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - began_s)
    return {
        "cpu_s": (time.process_time() - cpu_s) / TIMES,
        "median_s": float(np.median(seconds)),
        "slowest_s": max(seconds),
        "grown_mib": (process.memory_info().rss - before) / MIB,
    }


def ask_store(store: Store, config: Config, random: np.random.Generator) -> dict[str, Any]:
    """What the commands and the service ask of it."""
    names = list(config.cameras)
    due_at = iter(TODAY.replace(tzinfo=UTC) + timedelta(seconds=k) for k in range(1, 10_000))

    def one() -> str:
        return str(random.choice(names))

    def claim() -> None:
        due = store.dues.waiting()[0]
        assert store.dues.claim(due.id)
        store.dues.put_back(due.id, None, after=timedelta(0), counts=False)

    def report_of_one() -> None:
        store.record(store.latest_nights([one()]).popitem()[1].id)

    for camera in names:
        assert store.dues.ask(camera, TODAY.replace(tzinfo=UTC))
    questions: dict[str, Callable[[], object]] = {
        "report, all cameras": lambda: nights_table(config, dict(store.latest_nights(names))),
        "report, one camera": report_of_one,
        "latest_night": lambda: store.latest_night(one(), state="done"),
        "plan": lambda: tonight(config, store),
        "forecast": lambda: forecast(store, names, starve_nights=7),
        "histories": lambda: store.histories(nights=14),
        "metrics": lambda: list(CullingCollector(store, config.data_dir, lambda: None).collect()),
        "dues.waiting": store.dues.waiting,
        "dues.left_out": store.dues.left_out,
        "dues.made_by_others": store.dues.made_by_others,
        "dues.counts": store.dues.counts,
        "dues.last": lambda: store.dues.last(one()),
        "dues.ask": lambda: store.dues.ask(one(), next(due_at)),
        "dues.waiting + claim + put_back": claim,
    }
    return {name: slowest(question) for name, question in questions.items()}


def ask_service(store: Store, config: Config) -> dict[str, Any]:
    """A service's start, and its second when nothing is due or all wait for the budget."""
    began_s = time.perf_counter()
    service = service_of(config, store, Quick(store))
    started_s = time.perf_counter() - began_s
    spent = config.model_copy(
        update={"service": config.service.model_copy(update={"budget_minutes": 0.001})}
    )
    waiting = service_of(spent, store, Quick(store))
    for _ in range(3):
        waiting.tick()  # the first night of a window always fits
    rows = {"tick, all wait for the budget": slowest(waiting.tick)}
    with store.database.transaction() as connection:
        connection.execute(sa.update(dues_table).values(state="done"))
    rows["tick, nothing is due"] = slowest(service.tick)
    return rows | {"a service's start": {"median_s": started_s, "slowest_s": started_s}}


def ask_commands(folder: Path, config: Config) -> dict[str, Any]:
    """Whole commands in processes of their own, wall time and their largest memory."""
    lines = [f"data_dir: {folder}", "cameras:"]
    for name in config.cameras:
        lines.append(f"  {name}: {{source: yard.mp4, classes: [person], schedule: '03:00'}}")
    (folder / "config.yaml").write_text("\n".join(lines) + "\n")
    commands = {"culling --version": ["--version"]}
    for name in ("report", "report camera-0007", "report --json", "plan"):
        commands[f"culling {name}"] = [*name.split(), "--config", str(folder / "config.yaml")]
    return {name: command(arguments) for name, arguments in commands.items()}


def command(arguments: list[str]) -> dict[str, float]:
    code = (
        "import pathlib, re, sys\nfrom jobs.cli import run\ncode = run(sys.argv[1:])\n"
        "status = pathlib.Path('/proc/self/status').read_text()\n"
        "sys.stderr.write(str(int(re.search(r'VmHWM:\\s*(\\d+)', status)[1]) / 1024))\n"
        "sys.exit(code)"
    )
    seconds, largest = [], 0.0
    for _ in range(3):
        began_s = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True
        )
        seconds.append(time.perf_counter() - began_s)
        largest = float(done.stderr.splitlines()[-1])
    return {"median_s": float(np.median(seconds)), "slowest_s": max(seconds), "rss_mib": largest}


# -- all of it -------------------------------------------------------------------------------------


def measure(
    folder: Path, url: str | None, cameras: int, count: int, share: float
) -> dict[str, Any]:
    config = config_of(folder, names_of(cameras))
    with Store(folder, url) as store:
        began_s = time.perf_counter()
        kept = fill(store, cameras, count, share)
        if url is not None:
            with store.database.transaction() as connection:
                connection.exec_driver_sql("SELECT setval('nights_id_seq', max(id)) FROM nights")
                connection.exec_driver_sql("ANALYZE")
        result: dict[str, Any] = {
            "database": "SQLite" if url is None else "PostgreSQL",
            "cameras": cameras, "nights": cameras * count, "records": kept,
            "filled_s": time.perf_counter() - began_s, "bytes": size_of(store),
        }  # fmt: skip
        before = psutil.Process().memory_info().rss
        result["questions"] = ask_store(store, config, np.random.default_rng(1))
        result["service"] = ask_service(store, config)
        result["grown_mib"] = (psutil.Process().memory_info().rss - before) / MIB
    if url is None:
        result["commands"] = ask_commands(folder, config)
    return result


def size_of(store: Store) -> int:
    if store.database.is_sqlite:
        return sum(path.stat().st_size for path in store.data_dir.glob("culling.db*"))
    with store.database.reading() as connection:
        return int(
            connection.exec_driver_sql("SELECT pg_database_size(current_database())").scalar_one()
        )


def as_markdown(rows: list[dict[str, Any]]) -> str:
    lines = ["# Many cameras, many nights", "", "Made by `python -m benchmarks.scale`.", ""]
    for row in rows:
        lines += [
            f"## {row['database']}: {row['cameras']:,} cameras, {row['nights']:,} nights", "",
            f"{row['records']:,} whole records, {row['bytes'] / 2**30:.1f} GiB; "
            f"this process grew by {row['grown_mib']:.0f} MiB over all questions.", "",
            "| what | CPU, ms | median, ms | slowest, ms | grown, MiB |", "|---|---|---|---|---|",
        ]  # fmt: skip
        for name, found in (row["questions"] | row["service"] | row.get("commands", {})).items():
            memory = found.get("grown_mib", found.get("rss_mib"))
            shown = "" if memory is None else f"{memory:.1f}"
            if "rss_mib" in found:
                shown += " in all"
            times = f"{1000 * found['median_s']:.1f} | {1000 * found['slowest_s']:.1f}"
            cpu = f"{1000 * found['cpu_s']:.1f}" if "cpu_s" in found else ""
            lines.append(f"| {name} | {cpu} | {times} | {shown} |")
        lines.append("")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cameras", type=int, default=1000)
    parser.add_argument("--nights", type=int, default=90)
    parser.add_argument("--share", type=float, default=0.5)
    parser.add_argument("--postgres", action="store_true")
    parser.add_argument("--out", type=Path, default=RESULTS / "scale.json")
    args = parser.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        rows.append(measure(Path(folder), None, args.cameras, args.nights, args.share))
    if args.postgres:
        from benchmarks.testbed.servers.postgres import PostgresServer, programs

        found = programs()
        assert found is not None, "PostgreSQL is not installed"
        with closing(PostgresServer(found)) as server, tempfile.TemporaryDirectory() as folder:
            url = server.new_database()
            rows.append(measure(Path(folder), url, args.cameras, args.nights, args.share))
    args.out.write_text(json.dumps(rows, indent=1) + "\n")
    args.out.with_suffix(".md").write_text(as_markdown(rows))
    print(as_markdown(rows))


if __name__ == "__main__":
    main()
