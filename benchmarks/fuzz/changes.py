"""Forms as attackers send them, to the pages that change something: forged tokens, wrong methods,
climbing paths, line breaks for headers, HTML in names, fields and EXIF, too much of everything, and
uploads that are bombs. What a page shows of it may not run, no answer is a server's error, and
without the form's token nothing is done."""

from __future__ import annotations

import json
import random
import re
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from urllib.parse import quote, urlencode

import numpy as np
from prometheus_client import CollectorRegistry

from benchmarks.fuzz.case import Case
from benchmarks.fuzz.mutate import spoilt
from benchmarks.testbed.done_night import CAMERA, KEPT, make_night
from culling_pipeline.day.frame_files import as_jpeg
from jobs.config.edit import insert_camera
from jobs.config.load import load_config
from jobs.database.store import Store
from jobs.pages.house import House, Source
from jobs.pages.pages import Pages

OURS: tuple[type[Exception], ...] = ()
SECRET = "4fW9kQ2zR7mX3vB8"
MARK = "<xss7"
"""What begins an element that no page of ours has; shown as such, it would run."""
WAIT_S = 60.0
RUN = "2026-11-21"

HTML = (
    f"{MARK} onload=alert(1)>", f'"{MARK}>', f"'{MARK}>", f"</textarea>{MARK}>", "javascript:x",
)  # fmt: skip
ODD = (
    "", "\0", "x\r\nX-Evil: 1\r\n\r\n", "../../config.yaml", "..%2f..", "-1", "1e999", "nan",
    "9" * 400, "é\u202e\ufeff", "%s%n{{7*7}}${7*7}", "' OR 1=1 --", "[[", "[" * 5000, "a" * 5000,
    "null",
)  # fmt: skip
ADDRESSES = (
    "/etc/passwd", "file:///etc/passwd", "/dev/null", "rtsp://127.0.0.1:1/", "recordings:/etc",
    "..", f"rtsp://me:{SECRET}@127.0.0.1:1/", f"http://me:{SECRET}@127.0.0.1:1/{SECRET}",
    "gopher://x", "~x/",
    "synthetic://street?seed=", "/proc/self/environ", "concat:/etc/passwd", "${PATH}",
    "${file:/etc/passwd}",
)  # fmt: skip
FORMS = {
    f"camera/{CAMERA}/labels": {
        "run_id": RUN, "frame": str(KEPT[0]), "labels": '[["car",1,2,9,9]]',
    },
    f"camera/{CAMERA}/masks": {
        "mask": "0,0 5,0 5,5", "ignore_zones": "", "mask_before": "", "ignore_zones_before": "",
    },
    f"camera/{CAMERA}/use": {"version": "start"},
    f"camera/{CAMERA}/undo": {"before": "start", "now": "start"},
    f"camera/{CAMERA}/pin": {"version": "start", "pinned": "yes"},
    f"camera/{CAMERA}/retrain": {},
    "add": {"name": "gate", "address": "/nowhere"},
    "add/0123456789abcdef0123456789abcdef": {"classes": "car", "more": ""},
    f"try/{CAMERA}": {},
}  # fmt: skip
PAGES = (
    *(f"camera/{CAMERA}/{name}" for name in ("labels", "masks", "versions", "asked", "masks.jpg")),
    f"camera/{CAMERA}", "", "add", f"try/{CAMERA}", f"camera/{CAMERA}/labels/{RUN}/{KEPT[0]}.jpg",
)  # fmt: skip
QUERIES = ("frame", "use", "now", "before", "at", "said", "page", "saved", "hour")


@dataclass(slots=True)
class _Site:
    """The pages, and the form's token."""

    address: str
    csrf: str
    picture: bytes
    path: Path


def prepare(folder: Path) -> Callable[[int], Case]:
    """A case is one request."""
    site = _serve(folder)

    def case(seed: int) -> Case:
        rng = random.Random(seed)
        return Case(lambda: _run(site, rng), (SECRET,))

    list(_talk(site, "GET", "", {}, b""))
    return case


def _serve(folder: Path) -> _Site:
    night = make_night(folder, compared=True)
    text = night.path.read_text(encoding="utf-8")
    other = {"source": f"rtsp://me:{SECRET}@192.0.2.1/", "classes": {f"{MARK}>": ["car"]}}
    night.path.write_text(f"# {SECRET}\n{insert_camera(text, 'other', other)}", encoding="utf-8")
    config = load_config(night.path)
    config = config.changed(service=config.service.changed(port=0))
    store = Store(config.data_dir)
    source = Source(night.path, {"service": {"port": 0}})
    pages = Pages(House(config, store, CollectorRegistry(), source=source))
    pages.start()
    site = _Site(pages.address, "", (night.frames / f"{KEPT[0]:06d}.jpg").read_bytes(), night.path)
    (_, page) = list(_talk(site, "GET", "add", {}, b""))
    found = re.search(r'name="csrf" value="([0-9a-f]+)"', page)
    assert found is not None
    site.csrf = found[1]
    return site


def _run(site: _Site, rng: random.Random) -> Iterator[str]:
    way = rng.randrange(20)
    if way < 6:
        yield from _talk(
            site, rng.choice(("GET", "GET", "HEAD", "POST", "PUT")), _page(rng), {}, b""
        )
    elif way < 8:
        yield from _upload(site, rng)
    else:
        yield from _form(site, rng)
    cameras = load_config(site.path).cameras  # whatever was written can be read
    if not {CAMERA, "other"} <= set(cameras):
        message = "config.yaml has lost a camera"
        raise RuntimeError(message)


def _page(rng: random.Random) -> str:
    page = rng.choice((*PAGES, *FORMS))
    if rng.random() < 0.4:
        page = page.replace(CAMERA, quote(rng.choice((*HTML, *ODD, "other", "..", "none"))[:300]))
    if rng.random() < 0.2:
        page += "/" + "/".join(rng.choice(("..", "%2e%2e", "..%2f")) for _ in range(4))
    query = [
        (rng.choice(QUERIES), rng.choice((*HTML, *ODD))[:300]) for _ in range(rng.randrange(3))
    ]
    return f"{page}?{urlencode(query)}" if query else page


def _form(site: _Site, rng: random.Random) -> Iterator[str]:
    path = rng.choice(list(FORMS))
    fields = dict(FORMS[path])
    for name in list(fields):
        if rng.random() < 0.6:
            values = ADDRESSES if name == "address" and rng.random() < 0.7 else (*HTML, *ODD)
            fields[name] = rng.choice(values)
    if "labels" in fields and rng.random() < 0.5:
        name = rng.choice((*HTML, *ODD, "car"))
        edges = [rng.choice((0, 1, 9, -5, 1e308, "x", None, [])) for _ in range(4)]
        fields["labels"] = json.dumps([[name, *edges]] * rng.choice((1, 3, 1200)))
    if rng.random() < 0.05:
        fields |= {f"class_{n}": "car" for n in range(3000)}
    forged = rng.random() < 0.3
    if not forged:
        fields["csrf"] = site.csrf
    elif rng.random() < 0.7:
        fields["csrf"] = rng.choice(("", "0" * 64, site.csrf[:-1], site.csrf.upper() + "x", "é"))
    body = urlencode(fields).encode()
    kind = rng.choice(("application/x-www-form-urlencoded", "text/plain", "application/json", ""))
    kind = kind if rng.random() < 0.2 else "application/x-www-form-urlencoded"
    headers = {"Content-Type": kind}
    if rng.random() < 0.1:
        headers |= rng.choice(({"Origin": "http://evil.example"}, {"Sec-Fetch-Site": "cross-site"}))
        forged = True
    if rng.random() < 0.1:
        body = spoilt(body, rng)
        forged = False  # its token may be whole
    status, said = _talk(site, "POST", path, headers, body)
    if forged and not status.startswith("4"):
        message = f"a forged form gets {status}"
        raise RuntimeError(message)
    yield said


# -- uploads ---------------------------------------------------------------------------------------


def _upload(site: _Site, rng: random.Random) -> Iterator[str]:
    name = rng.choice((*HTML, "a.jpg", "../../config.yaml", "a\\b.png", "x" * 3000)).replace(
        "\n", " "
    )
    content = rng.choice(_BOMBS)(site, rng)
    edge = "edge7"
    head = f'--{edge}\r\nContent-Disposition: form-data; name="csrf"\r\n\r\n{site.csrf}\r\n'
    head += f'--{edge}\r\nContent-Disposition: form-data; name="file"; filename="{name}"\r\n'
    body = head.encode() + b"\r\n" + content + f"\r\n--{edge}--\r\n".encode()
    if rng.random() < 0.1:
        body = spoilt(body, rng)
    kind = f"multipart/form-data; boundary={edge if rng.random() < 0.95 else 'x' * 300}"
    _, said = _talk(site, "POST", f"try/{CAMERA}", {"Content-Type": kind}, body)
    yield re.sub(r"data:image/jpeg;base64,[^\"]+", "", said)


def _spoilt_picture(site: _Site, rng: random.Random) -> bytes:
    return spoilt(site.picture, rng)


def _with_exif(site: _Site, rng: random.Random) -> bytes:
    """A picture whose camera is called by HTML."""
    said = f"{rng.choice(HTML)}\0".encode()
    entry = struct.pack("<HHHHII", 0x2A49, 8, 0, 1, 0x010F0002, len(said))
    body = b"Exif\0\0II*\0\x08\0\0\0" + entry + said
    return (
        site.picture[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + site.picture[2:]
    )


def _png_bomb(_: _Site, rng: random.Random) -> bytes:
    side = rng.choice((5_000, 30_000, 2**31 - 1))
    head = struct.pack(">IIBBBBB", side, side, 8, rng.choice((0, 2, 6)), 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in ((b"IHDR", head), (b"IDAT", zlib.compress(bytes(10**6))), (b"IEND", b""))
    )


def _no_picture(_: _Site, rng: random.Random) -> bytes:
    return rng.choice(
        (
            b"", b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n",
            b"ffconcat version 1.0\nfile /etc/passwd",
            f"<svg onload='{MARK}>'/>".encode(), b"PK\x03\x04" + bytes(5000), b"GIF89a" + bytes(99),
            b"\x00\x00\x00\x18ftypisom" + rng.randbytes(3000),
            b"\x1a\x45\xdf\xa3" + rng.randbytes(3000),
            b"RIFF\xff\xff\xff\xffAVI " + rng.randbytes(900), bytes(33 * 2**20),
        )
    )  # fmt: skip


def _small(_: _Site, rng: random.Random) -> bytes:
    return as_jpeg(np.zeros((rng.randint(1, 40), rng.randint(1, 40), 3), np.uint8))


_BOMBS = (_spoilt_picture, _with_exif, _png_bomb, _no_picture, _small)


# -- asked and answered ----------------------------------------------------------------------------


def _talk(
    site: _Site, method: str, path: str, headers: dict[str, str], body: bytes
) -> tuple[str, str]:
    """The status and the text of the answer. A server's error is a fault, and so is HTML of ours
    with an element of theirs, or a header of theirs."""
    host, _, token = site.address.split("://")[1].rstrip("/").partition("/")
    connection = HTTPConnection(host, timeout=WAIT_S)
    try:
        connection.request(
            method,
            f"/{token}/{path}",
            body=body or None,
            headers={"Accept": "text/html", **headers},
        )
        answer = connection.getresponse()
        text = answer.read().decode("utf-8", "replace")
    except (HTTPException, OSError) as error:  # cut off, since it was too much
        return "400", type(error).__name__
    finally:
        connection.close()
    if answer.status >= 500 and answer.status not in (501, 505):
        message = f"{method} {path[:80]}: the answer is {answer.status}"
        raise RuntimeError(message)
    if MARK in text or answer.getheader("X-Evil") is not None:
        message = f"{method} {path[:80]}: what was sent could run"
        raise RuntimeError(message)
    if "default-src 'none'" not in answer.getheader("Content-Security-Policy", ""):
        message = f"{method} {path[:80]}: an answer without its policy"
        raise RuntimeError(message)
    return str(answer.status), f"{answer.headers}\n{text}"
