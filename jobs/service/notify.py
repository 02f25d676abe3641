"""Notices to people, through Apprise: few, and none twice."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from jobs.config.service import Kind, ServiceSettings
from jobs.database.notices import Notices
from jobs.errors import ConfigError, redact

logger = logging.getLogger(__name__)

STOP_S = 10.0


class Notifier:
    """Sends notices of the configured kinds, unless the same was sent lately. A thread of its own
    sends them: a mail server that hangs delays nothing else."""

    def __init__(self, settings: ServiceSettings, notices: Notices) -> None:
        self._kinds = settings.notify_of if settings.notify else ()
        self._quiet = timedelta(hours=settings.notify_again_h)
        self._notices = notices
        self._apprise: Any = _apprise(settings.notify) if settings.notify else None
        self._letters: queue.Queue[tuple[str, str] | None] = queue.Queue()
        self._thread = threading.Thread(target=self._send_all, name="notify", daemon=True)
        if self._apprise is not None:
            self._thread.start()

    def __call__(
        self, kind: Kind, camera: str, title: str, body: str, *, once: bool = False
    ) -> None:
        """Send a notice if it is wanted and news; `once`: not again until the matter was over.
        Returns at once."""
        quiet = timedelta.max if once else self._quiet
        if kind in self._kinds and self._notices.is_news(f"{kind}:{camera}", quiet=quiet):
            body = body or title  # Apprise sends none without a body
            self._letters.put((redact(title), redact(body)))

    def is_over(self, kind: Kind, camera: str) -> None:
        """The matter is over for this camera: the next time is news."""
        if kind in self._kinds:
            self._notices.forget(f"{kind}:{camera}")

    def close(self) -> None:
        """Send what is left, for a limited time."""
        if self._apprise is not None:
            self._letters.put(None)
            self._thread.join(STOP_S)

    def _send_all(self) -> None:
        while (letter := self._letters.get()) is not None:
            title, body = letter
            try:
                sent = self._apprise.notify(title=title, body=body)
            except Exception as error:  # the boundary to Apprise, whose plugins raise any kind
                sent = False
                logger.debug("notify", exc_info=error)
            if not sent:
                logger.warning("%r could not be sent: see service.notify", title)


def _apprise(addresses: Sequence[str]) -> Any:
    try:
        import apprise
    except ModuleNotFoundError as error:
        message = "service.notify: needs an extra: pip install 'culling-pipeline[notify]'"
        raise ConfigError(message) from error
    logging.getLogger("apprise").setLevel(logging.CRITICAL)  # its messages show whole addresses
    letters = apprise.Apprise()
    for number, address in enumerate(addresses):
        if not letters.add(address):
            message = (
                f"service.notify[{number}]: is no address Apprise knows: see its list at "
                "appriseit.com/services"
            )
            raise ConfigError(message)
    return letters
