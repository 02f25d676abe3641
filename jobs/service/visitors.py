"""Listens on a port of this machine, so that no visitor can harm the service.

A visitor costs no thread before its request is complete. There are never more than `MOST`
connections: a new one ends the oldest, so idle strangers keep nobody out and use up no files.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from jobs.errors import describe

logger = logging.getLogger(__name__)

HERE = "127.0.0.1"
MOST = 48
"""Connections at a time; a browser has six."""
LONGEST_HEAD = 16 * 1024
ASKING_S = 10.0
"""A request has to be complete after this time …"""
READING_S = 60.0
"""… and its answer read after this one."""
WORKERS = 4
STOP_S = 5.0
GONE = (OSError, EOFError)
"""How a visit ends that breaks off or is too slow."""
END_OF_HEAD = b"\r\n\r\n"
TOO_LONG = b"HTTP/1.0 431 Request Header Fields Too Large\r\nContent-Length: 0\r\n\r\n"


class Visitors:
    """`answer` makes of a request, up to its empty line, all that is sent back. It is called in
    threads, and must not raise."""

    def __init__(self, port: int, answer: Callable[[bytes], bytes]) -> None:
        """Raises `OSError` if the port is not free."""
        self._answer = answer
        self._socket = socket.create_server((HERE, port))
        self.port: int = self._socket.getsockname()[1]
        self._loop = asyncio.new_event_loop()
        self._loop.set_exception_handler(self._note)
        self._ends = asyncio.Event()
        self.visits: dict[asyncio.Task[None], None] = {}
        """Those there are, the oldest first."""
        self._is_full = False
        self._workers = ThreadPoolExecutor(WORKERS, thread_name_prefix="pages")
        self._thread = threading.Thread(target=self._serve, name="pages", daemon=True)

    def start(self) -> None:
        """Serve in a thread."""
        self._thread.start()

    def close(self) -> None:
        """Stop serving."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._ends.set)
            self._thread.join(STOP_S)
        else:
            self._loop.close()
        self._workers.shutdown(wait=False, cancel_futures=True)
        self._socket.close()

    def _serve(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._listen())

    async def _listen(self) -> None:
        server = await asyncio.start_server(self._arrive, sock=self._socket, limit=LONGEST_HEAD)
        await self._ends.wait()
        server.close()  # the runner ends the visits

    def _arrive(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if len(self.visits) >= MOST:
            oldest = next(iter(self.visits))
            del self.visits[oldest]
            oldest.cancel()
        task = self._loop.create_task(self._converse(reader, writer))
        self.visits[task] = None
        task.add_done_callback(partial(self._leave, writer))

    def _leave(self, writer: asyncio.StreamWriter, task: asyncio.Task[None]) -> None:
        self.visits.pop(task, None)
        writer.transport.abort()
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, GONE):
            logger.warning("port %d: %s", self.port, describe(error))

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(ASKING_S):
                head = await reader.readuntil(END_OF_HEAD)
            answer = await self._loop.run_in_executor(self._workers, self._answer, head)
        except asyncio.LimitOverrunError:
            answer = TOO_LONG
        self._is_full = False
        writer.transport.set_write_buffer_limits(0)  # so that `drain` waits for the last byte
        async with asyncio.timeout(READING_S):
            writer.write(answer)
            await writer.drain()
            writer.write_eof()
            while await reader.read(LONGEST_HEAD):
                pass  # a connection closed with something unread loses the answer

    def _note(self, _: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
        """Log what asyncio could not do. While this process has no file left, it can accept nobody
        and tries again each second."""
        error = context.get("exception")
        if not isinstance(error, OSError):
            logger.warning("port %d: %s", self.port, context.get("message"))
        elif not self._is_full:
            self._is_full = True
            logger.warning("port %d: %s; it answers when it can", self.port, error.strerror)
