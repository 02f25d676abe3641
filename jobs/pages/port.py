"""Listens on a port, so that no visitor can harm the service.

A visitor costs no thread before its request is complete. There are never more than `MOST`
connections: a new one ends the oldest, so idle strangers keep nobody out and use up no files.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import sys
import threading
from typing import Any

from anyio import to_thread
from starlette.types import ASGIApp
from uvicorn import Config, Server
from uvicorn.protocols.http.h11_impl import H11Protocol

from jobs.errors import ConfigError, describe

logger = logging.getLogger(__name__)
logging.getLogger("uvicorn").setLevel(logging.CRITICAL + 1)  # what strangers send is no news

MOST = 48
"""Connections at a time; a browser has six."""
LONGEST_HEAD = 16 * 1024
ASKING_S = 10.0
"""The head of a request has to be complete after this time …"""
READING_S = 60.0
"""… and its answer sent and read after this one."""
WORKERS = 4
"""Threads that make pages."""
STOP_S = 5.0


class Visit(H11Protocol):
    """One connection: it ends when it is too slow, or when it is the oldest of too many."""

    visits: dict[Visit, None]
    """Those there are, the oldest first."""
    _timer: asyncio.TimerHandle | None = None
    _asks = True
    _is_last = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Make room for the new one."""
        if len(self.visits) >= MOST:
            oldest = next(iter(self.visits))
            del self.visits[oldest]
            oldest.transport.abort()
        self.visits[self] = None
        super().connection_made(transport)
        self._within(ASKING_S)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        self.visits.pop(self, None)
        if self._timer is not None:
            self._timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Once the head is complete, the time for the answer begins."""
        if not self._asks and (self.cycle is None or self.cycle.response_complete):
            self._asks = True
            self._within(ASKING_S)
        super().data_received(data)
        if self._asks and self.cycle is not None and not self.cycle.response_complete:
            self._asks = False
            self._within(READING_S)

    def eof_received(self) -> bool:  # type: ignore[override]
        """Who says nothing more may still wait for an answer (TLS cannot be half closed)."""
        self._is_last = True
        answering = self.cycle is not None and not self.cycle.response_complete
        return answering and self.scheme == "http"

    def on_response_complete(self) -> None:
        """The answer may still have to be read."""
        self._asks = False
        self._within(READING_S)
        super().on_response_complete()
        if self._is_last:
            self.transport.close()

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP, or too long a head."""
        status = getattr(sys.exception(), "error_status_hint", 400)
        head = f"HTTP/1.1 {status} {msg}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        self.transport.write(head.encode("ascii"))
        self.transport.close()

    def _within(self, seconds: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self.loop.call_later(seconds, self.transport.abort)


class Port:
    """Serves `app` at an address, in a thread of its own. Raises `OSError` if the port is not
    free, `ConfigError` if the certificate cannot be used."""

    def __init__(
        self,
        app: ASGIApp,
        place: tuple[str, int],
        *,
        certificate: tuple[str, str | None] | None = None,
    ) -> None:
        visits: dict[Visit, None] = {}
        self.visits = visits
        more: dict[str, Any] = {}
        if certificate is not None:
            more = {"ssl_certfile": certificate[0], "ssl_keyfile": certificate[1]}
        config = Config(
            app,
            http=type("Visit", (Visit,), {"visits": visits}),
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            h11_max_incomplete_event_size=LONGEST_HEAD,
            timeout_graceful_shutdown=1,
            **more,
        )
        try:
            config.load()
        except (OSError, ValueError) as error:
            message = f"service.certificate: cannot be used: {error}"
            raise ConfigError(message) from error
        self._server = Server(config)
        family = socket.AF_INET6 if ":" in place[0] else socket.AF_INET
        self._socket = socket.create_server(place, family=family)
        self.port: int = self._socket.getsockname()[1]
        self._loop = asyncio.new_event_loop()
        self._loop.set_exception_handler(self._note)
        self._is_full = False
        self._thread = threading.Thread(target=self._serve, name="pages", daemon=True)

    def start(self) -> None:
        """Serve in a thread."""
        self._thread.start()

    def close(self) -> None:
        """Stop serving."""
        self._server.should_exit = True
        if self._thread.is_alive():
            self._thread.join(STOP_S)
        else:
            self._loop.close()
        self._socket.close()

    def _serve(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._listen())

    async def _listen(self) -> None:
        to_thread.current_default_thread_limiter().total_tokens = WORKERS
        await self._server.serve(sockets=[self._socket])

    def _note(self, _: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
        """Log what asyncio could not do. While this process has no file left, it can accept nobody
        and tries again each second."""
        error = context.get("exception")
        if not isinstance(error, OSError):
            said = describe(error) if isinstance(error, Exception) else context.get("message")
            logger.warning("port %d: %s", self.port, said)
        elif not self._is_full:
            self._is_full = True
            logger.warning("port %d: %s; it answers when it can", self.port, error.strerror)
