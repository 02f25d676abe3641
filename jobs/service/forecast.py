"""Tonight's order of cameras and what their nights cost, for `culling plan` and the service."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

from jobs.database.store import Store
from jobs.service.night_order import HISTORY, Prospect, in_order, prospect

UNKNOWN_S = 600.0
"""Detector seconds of a night while no camera has had one yet."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """The cameras in tonight's order, and the typical cost of a night of unknown cost."""

    order: tuple[Prospect, ...]
    typical_s: float
    costs: dict[str, float]

    def cost_of(self, camera: str) -> float:
        """Detector seconds that a night of this camera takes."""
        return self.costs.get(camera, self.typical_s)


def forecast(
    store: Store,
    cameras: Sequence[str],
    *,
    starve_nights: int,
    today_loss: Callable[[str], float | None] = lambda _: None,
) -> Forecast:
    """The order of these cameras, from what the store knows of all and from the mean L_conf of the
    day that a camera's night would be about, if it is known."""
    histories = store.histories(nights=HISTORY)
    costs = {camera: nights[0].device_s for camera, nights in histories.items()}
    typical_s = median(costs.values()) if costs else UNKNOWN_S
    left_out = store.dues.left_out()
    prospects = {
        camera: prospect(
            camera,
            histories.get(camera, ()),
            today_loss=today_loss(camera) if camera in histories else None,
            left_out=left_out.get(camera, 0),
            typical_s=typical_s,
        )
        for camera in cameras
    }
    return Forecast(tuple(in_order(prospects, starve_nights=starve_nights)), typical_s, costs)
