"""Serves reports and metrics on a port that only this machine can reach."""

from __future__ import annotations

import re
import threading
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from jinja2 import Environment, FileSystemLoader
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from jobs.bucket.sharing import open_sharing
from jobs.cameras.reports import report_path
from jobs.config.settings import Config
from jobs.database.store import Store
from jobs.errors import ConfigError

HERE = "127.0.0.1"
_REPORT = re.compile(r"/reports/(?P<camera>[a-z0-9_-]+)/(?P<run>[0-9.-]+)/index\.html")
_PAGES = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True)


class Pages:
    """`/` lists the cameras, `/reports/…` are the nights' reports, `/metrics` is for Prometheus."""

    def __init__(self, config: Config, store: Store, figures: CollectorRegistry) -> None:
        port = config.service.port or 0
        handler = partial(_Handler, config, store, figures)
        try:
            self._server = ThreadingHTTPServer((HERE, port), handler)
        except OSError as error:
            message = (
                f"service.port: {port} cannot be had ({error.strerror}): another program has it; "
                "give another one, or null"
            )
            raise ConfigError(message) from error
        self.address = f"http://{HERE}:{self._server.server_port}/"
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), name="pages", daemon=True
        )

    def start(self) -> None:
        """Serve in a thread."""
        self._thread.start()

    def close(self) -> None:
        """Stop serving."""
        if self._thread.is_alive():
            self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    server_version = "culling"
    sys_version = ""

    def __init__(
        self,
        config: Config,
        store: Store,
        figures: CollectorRegistry,
        request: object,
        client_address: object,
        server: object,
    ) -> None:
        self._config, self._store, self._figures = config, store, figures
        super().__init__(request, client_address, server)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        """Answer one request."""
        path = self.path.partition("?")[0]
        if not self._is_for_us():
            self.send_error(HTTPStatus.FORBIDDEN)
        elif path == "/":
            self._send(self._index(), "text/html; charset=utf-8")
        elif path == "/metrics":
            self._send(generate_latest(self._figures), CONTENT_TYPE_LATEST)
        elif (report := self._report(path)) is not None:
            self._send(report, "text/html; charset=utf-8")
        else:
            self.send_error(HTTPStatus.NOT_FOUND)

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing: the log is for nights and cameras."""

    def _is_for_us(self) -> bool:
        """Whether the request names this machine. A page from elsewhere must not reach us through a
        name that it points here (DNS rebinding)."""
        host = self.headers.get("Host", "").rpartition(":")[0] or self.headers.get("Host", "")
        return host in (HERE, "localhost", "[::1]")

    def _report(self, path: str) -> bytes | None:
        """The report of a configured camera's night, and nothing else of `data_dir`."""
        found = _REPORT.fullmatch(path)
        if found is None or found["camera"] not in self._config.cameras:
            return None
        open_sharing(self._config).bring_report(found["camera"], found["run"])
        try:
            return report_path(self._config, found["camera"], found["run"]).read_bytes()
        except OSError:
            return None

    def _index(self) -> bytes:
        nights = self._store.latest_nights()
        rows = [(name, nights.get(name)) for name in self._config.cameras]
        return _PAGES.get_template("index.html").render(rows=rows).encode()

    def _send(self, body: bytes, kind: str) -> None:
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(body)
