"""What all pages share: configuration, store, live cameras, and where they are served."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from prometheus_client import CollectorRegistry
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request

from jobs.config.load import load_config
from jobs.config.settings import Config
from jobs.database.store import Store
from jobs.disk.use import DiskUse
from jobs.errors import ConfigError, describe
from jobs.pages.access import Passwords, Sessions, Visitor
from jobs.pages.kept import Kept
from jobs.pages.overview import Overview
from jobs.pages.statics import Statics

if TYPE_CHECKING:
    from jobs.nights.stored_answers import StoredAnswers
    from jobs.watch.watch import CameraWatch


CARDS, NIGHTS, ANSWERS = 2000, 16, 4
"""How many cards of cameras, pages of done nights and nights' answers are kept, as far as they
cannot change."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where the configuration was read from: its file, and what was set on the command line."""

    path: Path
    overrides: Mapping[str, Any] = field(default_factory=dict)


class House:
    """One of these a port. Pages read `config` anew whenever they need it: the file may have
    changed."""

    def __init__(
        self,
        config: Config,
        store: Store,
        figures: CollectorRegistry,
        *,
        source: Source | None = None,
        watch: Callable[[], CameraWatch | None] = lambda: None,
    ) -> None:
        self._config, self.source = config, source
        self.store, self.figures, self.watch = store, figures, watch
        self.sessions = Sessions()
        self.passwords = Passwords(config.service.password_hashes)
        self.statics = Statics()
        self.disk_use = DiskUse(config.data_dir)
        self.overview = Overview(store, watch)
        self.cards: Kept[Any] = Kept(CARDS)
        self.nights: Kept[Any] = Kept(NIGHTS)
        self.answers: Kept[StoredAnswers | None] = Kept(ANSWERS)
        self._read_at = self._stamp()
        self._reading = threading.Lock()
        self._mistake: str | None = None

    @property
    def config(self) -> Config:
        """As the file is now; while it has a mistake, as it was before."""
        stamp = self._stamp()
        if self.source is not None and stamp != self._read_at:
            with self._reading:
                self._read_at = stamp
                try:
                    self._config = load_config(self.source.path, overrides=self.source.overrides)
                except (ConfigError, OSError) as error:
                    self._mistake = describe(error)
                else:
                    self._mistake = None
        return self._config

    @property
    def mistake(self) -> str | None:
        """What is wrong with the file now, while `config` is as it was before."""
        return self._mistake

    def _stamp(self) -> tuple[int, int] | None:
        try:
            status = None if self.source is None else self.source.path.stat()
        except OSError:
            return None
        return None if status is None else (status.st_mtime_ns, status.st_size)


def house_of(request: Request) -> House:
    """The house that this request came to."""
    return cast("House", request.scope["culling.house"])


def visitor_of(request: Request) -> Visitor:
    """Who asks."""
    return cast("Visitor", request.scope["culling.visitor"])


def form_of(request: Request) -> FormData:
    """The form that a POST brought; its token has been checked."""
    return cast("FormData", request.scope["culling.form"])


def camera_of(request: Request) -> str:
    """The configured camera that the path names (`{camera}`); 404 for any other."""
    name = str(request.path_params["camera"])
    if name not in house_of(request).config.cameras:
        raise HTTPException(404)
    return name


def require_change(request: Request) -> Visitor:
    """Who asks, if they may change something; else 403. Call it first in each action."""
    visitor = visitor_of(request)
    if not visitor.may_change:
        raise HTTPException(403, "this login may look, not change: log in with the other password")
    return visitor


def audit(request: Request, what: str, *, camera: str | None = None, detail: str = "") -> None:
    """Note in the database who changed what. `what` is short and always the same for the same
    change ("mask saved"), `detail` says the rest; no secret in either."""
    visitor = visitor_of(request)
    who = f"{visitor.role} from {visitor.address}"
    house_of(request).store.audit.note(who, what, camera=camera, detail=detail)
