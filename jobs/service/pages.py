"""The pages of the service: cameras, reports, metrics; for this machine's user alone."""

from __future__ import annotations

import logging
import re
import secrets
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from io import BytesIO
from pathlib import Path

from jinja2 import Environment, FileSystemLoader
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from jobs.bucket.bucket import StorageError
from jobs.bucket.sharing import open_sharing
from jobs.cameras.reports import report_path
from jobs.config.settings import Config
from jobs.database.store import Store
from jobs.errors import ConfigError, describe
from jobs.service.outage import AWAY
from jobs.service.port_token import TOKEN_FILE, port_token
from jobs.service.visitors import HERE, Visitors

logger = logging.getLogger(__name__)

HTML = "text/html; charset=utf-8"
TEXT = "text/plain; charset=utf-8"
SAFE = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; img-src data:; script-src 'unsafe-inline'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; sandbox allow-scripts"
    ),
}
"""Headers of every answer. Reports have their style and their one script inside; the script can
load nothing and read no other page."""
_HOST = re.compile(r"(127\.0\.0\.1|localhost|\[::1\])(:[0-9]{1,5})?", re.IGNORECASE)
_REPORT = re.compile(
    r"reports/(?P<camera>[a-z0-9_-]+)/(?P<run>[0-9]{4}-[0-9]{2}-[0-9]{2}(\.[0-9]+)?)/index\.html"
)
_PAGES = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True)


class Pages:
    """`/TOKEN/` lists the cameras, `/TOKEN/reports/…` are the nights' reports, `/metrics` is for
    Prometheus.

    The token is in the path, and there is no cookie: a browser sends those of one port to every
    other port of the machine, also to another user's.
    """

    def __init__(self, config: Config, store: Store, figures: CollectorRegistry) -> None:
        port = config.service.port or 0
        token = port_token(config.data_dir)
        try:
            self._visitors = Visitors(
                port, partial(_answer, Content(config, store, figures), token)
            )
        except OSError as error:
            message = (
                f"service.port: {port} cannot be had ({error.strerror}): another program has it; "
                "give another one, or null"
            )
            raise ConfigError(message) from error
        self.root = f"http://{HERE}:{self._visitors.port}/"
        self.address = f"{self.root}{token}/"
        self.start, self.close = self._visitors.start, self._visitors.close
        self.visits = self._visitors.visits


class Content:
    """What the pages show."""

    def __init__(self, config: Config, store: Store, figures: CollectorRegistry) -> None:
        self._config, self._store, self._figures = config, store, figures

    def metrics(self) -> bytes:
        """For Prometheus."""
        return generate_latest(self._figures)

    def page(self, name: str) -> bytes | None:
        """The list of cameras, the report of a configured camera's or group's night, and nothing
        else of `data_dir`."""
        if name == "":
            return self._index()
        found = _REPORT.fullmatch(name)
        if found is None:
            return None
        if found["camera"] in self._config.cameras:
            open_sharing(self._config).bring_report(found["camera"], found["run"])
        elif found["camera"] not in self._config.groups:
            return None
        try:
            return report_path(self._config, found["camera"], found["run"]).read_bytes()
        except FileNotFoundError:
            return None

    def _index(self) -> bytes:
        nights = self._store.latest_nights()
        rows = [(name, nights.get(name)) for name in self._config.cameras]
        firsts = {group: nights.get(names[0]) for group, names in self._config.groups.items()}
        groups = [
            (group, night.run_id)
            for group, night in firsts.items()
            if night is not None and report_path(self._config, group, night.run_id).is_file()
        ]
        return _PAGES.get_template("index.html").render(rows=rows, groups=groups).encode()


def _answer(content: Content, token: str, head: bytes) -> bytes:
    said = BytesIO()
    _Handler(content, token, BytesIO(head), said)
    return said.getvalue()


class _Handler(BaseHTTPRequestHandler):
    """Answers one request that has been read already."""

    server_version = "culling"
    sys_version = ""
    error_message_format = "%(code)d: %(message)s\n"
    error_content_type = TEXT

    def __init__(self, content: Content, token: str, head: BytesIO, answer: BytesIO) -> None:
        self._content, self._token = content, token
        self.rfile, self.wfile = head, answer
        self.handle_one_request()

    def do_GET(self) -> None:
        """Answer a request; whatever happens, the visitor gets a line and the log the rest."""
        try:
            self._look_up(self.path.partition("?")[0].removeprefix("/"))
        except (*AWAY, StorageError):  # the log has it from the service itself
            away = "the database or the disk is away, try again soon"
            self.send_error(HTTPStatus.SERVICE_UNAVAILABLE, away)
        except Exception as error:  # the boundary: one visitor, not the service
            logger.warning("a page failed: %s", describe(error))
            logger.debug("page", exc_info=error)
            self.send_error(HTTPStatus.INTERNAL_SERVER_ERROR)

    def do_HEAD(self) -> None:
        """As GET; `_send` and `send_error` leave the body out."""
        self.do_GET()

    def do_OPTIONS(self) -> None:
        """Refuse: no other site may read a page, so there is nothing to allow one."""
        self.send_response(HTTPStatus.METHOD_NOT_ALLOWED)
        self.send_header("Allow", "GET, HEAD")
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_POST = do_PUT = do_DELETE = do_PATCH = do_TRACE = do_CONNECT = do_OPTIONS

    def end_headers(self) -> None:
        """Add what every answer has."""
        for name, value in SAFE.items():
            self.send_header(name, value)
        super().end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing: the log is for nights and cameras."""

    def _look_up(self, path: str) -> None:
        token, _, name = path.partition("/")
        if not self._is_for_us():
            self.send_error(HTTPStatus.FORBIDDEN, "unknown host")
        elif path == "metrics":
            self._send(self._content.metrics(), CONTENT_TYPE_LATEST)
        elif not secrets.compare_digest(token.encode(), self._token.encode()):
            where = f"the address with the token is in the log of culling run ({TOKEN_FILE} has it)"
            self.send_error(HTTPStatus.FORBIDDEN, where)
        elif path == token:  # without the slash, the links of the page would lead elsewhere
            self.send_response(HTTPStatus.PERMANENT_REDIRECT)
            self.send_header("Location", f"/{token}/")
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif (page := self._content.page(name)) is None:
            self.send_error(HTTPStatus.NOT_FOUND)
        else:
            self._send(page, HTML)

    def _is_for_us(self) -> bool:
        """Whether the request names this machine. A page from elsewhere must not reach us through a
        name that it points here (DNS rebinding)."""
        hosts = self.headers.get_all("Host", [])
        return len(hosts) == 1 and _HOST.fullmatch(hosts[0].strip()) is not None

    def _send(self, body: bytes, kind: str) -> None:
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
