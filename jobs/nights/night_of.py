"""Whose night a camera's is: its own, or its group's."""

from __future__ import annotations

from dataclasses import dataclass

from culling_pipeline.run.progress import Progress
from jobs.config.settings import Config
from jobs.database.store import Store


@dataclass(frozen=True, slots=True)
class NightOf:
    """Whose night it is: a camera's own, or a group's."""

    config: Config
    name: str
    cameras: tuple[str, ...]

    def run(self, *, store: Store, progress: Progress, fresh: bool = False) -> None:
        """Run or resume it. Raises what its parts raise."""
        if self.name in self.config.groups:
            from jobs.nights.group import retrain_group

            retrain_group(self.config, self.name, store=store, progress=progress, fresh=fresh)
        else:
            from jobs.nights.nightly import retrain_camera

            retrain_camera(self.config, self.name, store=store, progress=progress, fresh=fresh)


def night_of(config: Config, camera: str) -> NightOf:
    """The night in which this camera gets a new student."""
    for group, members in config.groups.items():
        if camera in members:
            return NightOf(config, group, members)
    return NightOf(config, camera, (camera,))
