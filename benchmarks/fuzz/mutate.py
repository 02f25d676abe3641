"""Ways to spoil bytes, lines and JSON, each decided by a random number generator with a seed."""

from __future__ import annotations

import copy
import json
import random
from typing import Any

WEIRD = (
    b"\0",
    b"\xff",
    b"\xff\xff\xff\xff",
    b"\x7f\xff\xff\xff",
    b"\x80\0\0\0",
    b"\r\n",
    b"\xc2\x85",
)
ODD: tuple[Any, ...] = (
    *(None, True, -1, 0, 1.5, 1e308, float("nan"), float("inf"), 2**70, -(2**63), 10**400),
    *(
        "",
        "x",
        "\0",
        "\ud800",
        "é\u202e",
        "x" * 5000,
        "../../x",
        "http://[::1",
        "file:///etc/passwd",
    ),
    *([], {}, [[]], [None], {"x": {"y": []}}, [0] * 500, {"": ""}, "7", "-7", "1e400", "²"),
)


def spoilt(data: bytes, rng: random.Random, most: int = 8) -> bytes:
    """Bytes changed, put in, taken out, doubled, swapped or cut off."""
    found = bytearray(data) or bytearray(b"x")
    for _ in range(rng.randint(1, most)):
        at, way = rng.randrange(len(found)), rng.randrange(8)
        if way < 2:
            found[at] = rng.randrange(256)
        elif way == 2:
            found[at] ^= 1 << rng.randrange(8)
        elif way == 3:
            found[at : at + rng.choice((0, 1, 2, 4))] = rng.choice(WEIRD)
        elif way == 4:
            del found[at : at + rng.choice((1, 4, 50, 1000))]
        elif way == 5:
            start = rng.randrange(len(found))
            found[at:at] = found[start : start + rng.choice((1, 8, 100, 5000))]
        elif way == 6:
            found[at : at + rng.choice((4, 64, 512))] = rng.randbytes(rng.choice((4, 64, 512)))
        elif rng.random() < 0.3:
            del found[at:]
        found = found or bytearray(b"x")
    return bytes(found)


def spoilt_json(content: Any, rng: random.Random) -> bytes:
    """A JSON text of it with values changed, keys lost or doubled; at times its bytes spoilt."""
    content = json.loads(json.dumps(content))
    for _ in range(rng.randint(1, 4)):
        places = _places(content)
        if not places:
            break
        holder, key = rng.choice(places)
        way = rng.randrange(5)
        if way == 0:
            del holder[key]
        elif way == 1 and isinstance(holder, list):
            holder.insert(key, json.loads(json.dumps(holder[key])))
        elif way == 2 and isinstance(holder, dict):
            holder[rng.choice(("x", "id", "url", str(key) + "s"))] = holder.pop(key)
        else:
            holder[key] = copy.deepcopy(rng.choice(ODD))  # the next change may be within it
    data = json.dumps(content).encode()
    way = rng.randrange(10)
    if way == 0:
        return spoilt(data, rng)
    if way == 1:
        depth = rng.choice((100, 5000))
        opening, closing = rng.choice(((b"[", b"]"), (b'{"a":', b"}")))
        return opening * depth + data + closing * depth
    return data


def _places(value: Any) -> list[tuple[Any, Any]]:
    found: list[tuple[Any, Any]] = []
    rest = [value]
    while rest:
        holder = rest.pop()
        if not isinstance(holder, dict | list):
            continue
        items = holder.items() if isinstance(holder, dict) else enumerate(holder)
        for key, item in list(items):
            found.append((holder, key))
            rest.append(item)
    return found


def spoilt_lines(text: str, odd: tuple[str, ...], rng: random.Random) -> bytes:
    """Lines swapped, doubled, dropped or replaced by odd ones; at times the bytes as well."""
    lines = text.split("\n")
    for _ in range(rng.randint(1, 6)):
        at, way = rng.randrange(len(lines)), rng.randrange(5)
        if way == 0:
            lines.insert(at, lines[rng.randrange(len(lines))])
        elif way == 1 and len(lines) > 1:
            del lines[at]
        elif way == 2:
            lines[at] = lines[at].replace(rng.choice(("1", ":", ",", "=", "#")), rng.choice(odd))
        else:
            lines.insert(at, rng.choice(odd))
    data = rng.choice(("\n", "\n", "\r\n", "\r")).join(lines).encode("utf-8", "surrogatepass")
    return spoilt(data, rng) if rng.random() < 0.3 else data
