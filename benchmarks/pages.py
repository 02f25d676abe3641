"""What the pages cost with many cameras: bytes, requests and the first byte of each, as a ratio to
a plain file from the same server. The store is made up: no model, no frame.

    python -m benchmarks.pages                     1,000 cameras × 90 nights: two minutes
    python -m benchmarks.pages --cameras 20 --nights 5     a try

Writes benchmarks/results/pages.json.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import tempfile
import time
import zlib
from datetime import UTC, date, datetime, timedelta
from html.parser import HTMLParser
from http.client import HTTPConnection
from pathlib import Path
from statistics import median
from urllib.parse import urljoin

import sqlalchemy as sa
from prometheus_client import CollectorRegistry

from benchmarks.testbed.nights import config_of
from benchmarks.testbed.small_night import night_record
from jobs.config.settings import Config
from jobs.database.figures import Figures
from jobs.database.store import Store
from jobs.database.tables import nights_table, records_table
from jobs.pages.house import House
from jobs.pages.overview import FRESH_S
from jobs.pages.pages import Pages

RESULT = Path(__file__).parent / "results" / "pages.json"
LAST_DAY = date(2026, 11, 20)
ASKED = 15
"""Times each page is asked for, after one that is not counted."""
MOST_BYTES, MOST_RATIO, MOST_FIRST_MS = 300_000, 5.0, 100.0


def fill(store: Store, config: Config, nights: int) -> None:
    """This many done nights of each camera, as a service leaves them."""
    record = night_record("cam-0000", str(LAST_DAY))
    figures = Figures.of(record).model_dump(mode="json")
    packed = zlib.compress(record.model_dump_json().encode())
    rng = random.Random(1)
    with store.database.transaction() as connection:
        number = 0
        for back in range(nights, 0, -1):
            day = LAST_DAY - timedelta(days=back)
            rows, records = [], []
            for camera in config.cameras:
                number += 1
                before = round(0.6 + 0.2 * rng.random(), 3)
                scores = {"score_before": before, "score_after": before + 0.1 * rng.random()}
                more = {"promoted": rng.random() < 0.4, "mean_loss": 2 + rng.random()}
                rows.append(_row(number, camera, day, {**figures, **scores, **more}))
                records.append({"night_id": number, "record": packed})
            connection.execute(sa.insert(nights_table), rows)
            connection.execute(sa.insert(records_table), records)


def _row(number: int, camera: str, day: date, figures: dict[str, object]) -> dict[str, object]:
    begun = datetime(day.year, day.month, day.day, 3, tzinfo=UTC).replace(tzinfo=None)
    return {
        "id": number, "camera": camera, "run_id": str(day), "night_date": day, "settings": "",
        "state": "done", "attempt": 1, "pid": 1, "process": "", "host": "", "started_at": begun,
        "finished_at": begun + timedelta(minutes=20), "figures": figures,
    }  # fmt: skip


class _Parts(HTMLParser):
    """What a browser fetches with a page: style, script, icon, pictures in sight."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        link = given.get("href") if tag == "link" else given.get("src")
        if link and given.get("loading") != "lazy":
            self.found.append(link)


def ask(connection: HTTPConnection, path: str) -> tuple[float, bytes]:
    """Milliseconds to the first byte, and the answer."""
    began = time.perf_counter()
    connection.request("GET", path)
    answer = connection.getresponse()
    first_ms = 1000 * (time.perf_counter() - began)
    body = answer.read()
    if answer.status != 200:
        message = f"{path}: {answer.status}"
        raise RuntimeError(message)
    return first_ms, body


def measure(pages: Pages, paths: dict[str, str]) -> dict[str, dict[str, float]]:
    """Each page, and the plain file with it: asked in turn, so that a busy machine slows both."""
    start = f"/{pages.address.removeprefix(pages.root)}"
    connection = HTTPConnection(pages.root.split("/")[2], timeout=600)
    plain = _parts(ask(connection, start)[1])[0]
    found = {}
    for name, path in paths.items():
        fresh_ms, body = ask(connection, start + path)
        times = [
            (ask(connection, start + path)[0], ask(connection, start + plain)[0])
            for _ in range(ASKED)
        ]
        parts = {urljoin(start + path, part) for part in _parts(body)}
        sizes = [len(ask(connection, part)[1]) for part in parts]
        first_ms, plain_ms = (median(each) for each in zip(*times, strict=True))
        found[name] = {
            "bytes": len(body),
            "bytes_with_style_and_script": len(body) + sum(sizes),
            "requests": 1 + len(parts),
            "first_byte_ms": round(first_ms, 2),
            "first_byte_first_time_ms": round(fresh_ms, 2),
            "plain_file_ms": round(plain_ms, 2),
            "ratio": round(first_ms / plain_ms, 2),
        }
    return found


def _parts(body: bytes) -> list[str]:
    parts = _Parts()
    parts.feed(body.decode())
    return parts.found


def main() -> None:
    """Fill a store, ask for every page, write what it took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cameras", type=int, default=1000)
    parser.add_argument("--nights", type=int, default=90)
    args = parser.parse_args()
    names = tuple(f"cam-{k:04d}" for k in range(args.cameras))
    with tempfile.TemporaryDirectory() as folder, Store(Path(folder)) as store:
        config = config_of(Path(folder), names, port=0)
        fill(store, config, args.nights)
        pages = Pages(House(config, store, CollectorRegistry()))
        pages.start()
        night = str(LAST_DAY - timedelta(days=1))
        last = math.ceil(args.cameras / 24)
        paths = {
            "cameras": "", "cameras, last page": f"?page={last}", "cameras, search": "?q=cam-00",
            "camera": "camera/cam-0007", "night": f"camera/cam-0007/night/{night}",
            "night as JSON": f"camera/cam-0007/night/{night}.json", "system": "system",
        }  # fmt: skip
        found = measure(pages, paths)
        pages.close()
    result = {
        "cameras": args.cameras,
        "nights": args.nights,
        "asked": ASKED,
        "list_holds_s": FRESH_S,
        "limits": {"bytes": MOST_BYTES, "ratio": MOST_RATIO, "first_byte_ms": MOST_FIRST_MS},
        "pages": found,
    }
    RESULT.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    for name, page in found.items():
        print(f"{name:20} {page}")


if __name__ == "__main__":
    main()
