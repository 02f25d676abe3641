"""Configurations made wrong by a seed: in their structure, their scalars or their bytes."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from benchmarks.fuzz.case import Case
from jobs.config.load import load_config
from jobs.config.new_file import TEMPLATE
from jobs.errors import ConfigError

OURS = (ConfigError,)

SECRET = "Zq7XvK9wJ3uBHy5G"
"""Stands wherever a secret may; no part of it stands anywhere else."""

ODD = (
    *(None, True, -1, 0, 1.5, "", "x", " ", "~nosuchuser/x", "~", "..", "${NOT_SET}", "${", "${}"),
    *("${file:no}", "${file:~nosuchuser/x}", "é\u202e", "x" * 3000, 2**62, -(2**62), 1e308, [], {}),
    *(float("nan"), float("inf"), [[]], [None], {1: 2}, {None: None}, {"": ""}, {"x": {"y": []}}),
    *([0] * 500, "03:00", "99:99", "* * * * *", "*/0 * * * *", "0 3 * * 1-9", "² ² ² ² ²"),
    *("../../x", "C:\\x", "rtsp://", "rtsp://[::1", "://", "file://", "s3://", "http://a:b:c@d"),
    *("%", "%zz", "rtsp://h:99999/", "auto", "null", "pretrained:x", "builtin:x", "synthetic://x"),
)
SCALARS = (
    *("2001-99-99", "2001-01-01 99:00:00", "2001-01-01T00:00:00+99:99", "!!int x", "!!float x"),
    *("!!timestamp x", "!!binary x", "!!binary é", "!!bool x", "!!set [a]", "!!omap [a]"),
    *("!!pairs [a]", "!!null {a: b}", "!!str {a: b}", "!!map x", "!!seq x", "!x y", "!!python/x y"),
    *(
        "!!python/object/apply:os.system [ls]",
        "*none",
        "&a [*a]",
        "&a {b: *a}",
        "[" * 300,
        "{a: " * 99,
    ),
    *("9" * 5000, "0x" + "f" * 999, "1:" * 300 + "1", "0b", "0x", "._", "1_", "1e999", "-.inf"),
    *('"\\0"', '"\\ud800"', '"\\x1b[2J"', "'", '"', "|\n  x", ">\n x", "? [a]\n: b", "- " * 200),
    *(
        "{<<: [{a: 1}, 2]}",
        "{<<: 3}",
        "<<",
        "=",
        "!!value =",
        "%YAML 9.9",
        "---",
        "...",
        "\t",
        "@x",
    ),
)
WEIRD_BYTES = (b"\0", b"\xff", b"\xed\xa0\x80", b"\xc2\x85", b"\xef\xbb\xbf", b"\r", b"\t", b"\x1b")


@cache
def secrets_everywhere() -> dict[str, Any]:
    """A configuration that loads, with every section, and a secret in most places that may hold
    one."""
    raw: dict[str, Any] = yaml.safe_load(TEMPLATE.read_text(encoding="utf-8"))
    camera = next(iter(raw["cameras"].values()))
    camera["source"] = f"rtsp://viewer:{SECRET}@192.0.2.1/live?token={SECRET}"
    raw["cameras"]["door"] = {"source": f"https://192.0.2.2/{SECRET}/live", "classes": ["person"]}
    raw["database"] = f"postgresql://culling:{SECRET}@db/culling"
    raw["storage"] = {"url": f"s3://key:{SECRET}@bucket/x"}
    raw.setdefault("service", {})["notify"] = [f"tgram://{SECRET}/x", f"mailto://me:{SECRET}@x.org"]
    return raw


def prepare(folder: Path) -> Callable[[int], Case]:
    """A case loads a mutated configuration."""
    path = folder / "config.yaml"

    def load(seed: int) -> tuple[str, ...]:
        path.write_bytes(mutated(seed))
        return (repr(load_config(path)),)

    load_config(TEMPLATE)
    return lambda seed: Case(lambda: load(seed), (SECRET,))


def mutated(seed: int) -> bytes:
    """One configuration; the same for the same seed."""
    rng = random.Random(seed)
    raw = copy.deepcopy(secrets_everywhere())
    if rng.random() < 0.2:  # secrets that are refused where they stand
        raw["storage"] |= {"access_key": SECRET, "secret_key": SECRET}
    way = rng.choice((_structure, _scalars, _bytes))
    return way(raw, rng)


def _structure(raw: dict[str, Any], rng: random.Random) -> bytes:
    for _ in range(rng.randint(1, 4)):
        holder, key = rng.choice(list(_places(raw)))
        change = rng.randrange(5)
        if change == 0:
            del holder[key]
        elif change == 1 and isinstance(holder, dict):
            holder[rng.choice(("x", "password", 7, True, "fsp", str(key)[:-1]))] = holder.pop(key)
        elif change == 2:
            holder[key] = rng.choice(([holder[key]], {"password": holder[key]}, {"x": holder[key]}))
        else:
            holder[key] = copy.deepcopy(rng.choice(ODD))  # the next change may be within it
    return yaml.safe_dump(raw, allow_unicode=True).encode("utf-8", "surrogatepass")


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in list(items):
        yield value, key
        if isinstance(item, dict | list):
            yield from _places(item)


def _scalars(raw: dict[str, Any], rng: random.Random) -> bytes:
    lines = yaml.safe_dump(raw, width=10**6).splitlines()
    for _ in range(rng.randint(1, 3)):
        number = rng.randrange(len(lines))
        before, colon, _ = lines[number].partition(": ")
        lines[number] = f"{before}{colon}{rng.choice(SCALARS)}"
    return "\n".join(lines).encode("utf-8", "surrogatepass")


def _bytes(raw: dict[str, Any], rng: random.Random) -> bytes:
    data = bytearray(yaml.safe_dump(raw, width=10**6).encode())
    for _ in range(rng.randint(1, 8)):
        at = rng.randrange(len(data))
        change = rng.randrange(4)
        if change == 0:
            data[at] = rng.randrange(256)
        elif change == 1:
            data[at:at] = rng.choice((*WEIRD_BYTES, bytes([rng.randrange(32, 127)])))
        elif change == 2:
            del data[at : at + rng.choice((1, 2, 10, 200))]
        else:
            start = rng.randrange(len(data))
            data[at:at] = data[start : start + rng.choice((1, 5, 50, 500))]
        data = data or bytearray(b"x")
    return bytes(data)
