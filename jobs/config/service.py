"""The settings of the service, `culling run`."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator

from culling_pipeline.ranges import Count, Flag, NotNegative, Positive
from jobs.config.fields import Text, setting
from jobs.config.port import PortSettings
from jobs.config.secrets import fill_in
from streams.secret_words import keep_secret

Kind = Literal["failed", "lost", "drift", "moved", "promoted"]


class ServiceSettings(PortSettings):
    """When and where nights run, and who is notified."""

    watch: Flag = setting(
        True,
        "false: this machine runs nights only, another one watches the cameras",
        more="For machines that share a configuration file: "
        "`culling run --set service.watch=false`.",
    )
    window: Text | None = setting(
        None,
        "nights start only in this time of day, such as 01:00-05:00; null: at any time",
        more="It is the machine's time and may go over midnight. A night that has started goes on.",
    )
    budget_minutes: Positive | None = setting(
        None,
        "detector work that may start in one window, or one day without a window; null: no limit",
        unit="minutes",
        more="The ledgers of earlier nights say how long a night takes. When not all nights fit, "
        "cameras with the highest expected gain per second run first.",
    )
    starve_nights: Count = setting(
        7, "a camera left out this many times in a row comes first", unit="nights"
    )
    nights_at_once: Count | Literal["auto"] = setting(
        "auto", "nights that run at the same time; auto: one for each GPU, or one", unit="nights"
    )
    tries: Count = setting(3, "how often a night is tried", unit="tries")
    retry_after_s: Positive = setting(
        300.0, "wait before the second try; each later wait is four times longer", unit="seconds"
    )
    early_nights: Flag = setting(
        True,
        "a live camera whose data drift gets a night early",
        more="At most once a day, and within `window` and `budget_minutes` "
        "([drift.md](../design/drift.md)).",
    )
    executor: Literal["local", "ray"] = setting(
        "local",
        "local: processes of this machine; ray: a Ray cluster",
        more="`ray` needs `pip install 'culling-pipeline[ray]'`.",
    )
    ray_address: Text | None = setting(
        None, "ray: auto or HOST:PORT, a running cluster; null: a cluster of this machine's own"
    )
    cpus_per_night: Positive | None = setting(
        None, "ray: what a night takes of the cluster; null: as many as `workers`", unit="CPUs"
    )
    gpus_per_night: NotNegative = setting(
        0.0, "ray: what a night takes of the cluster, such as 1 or 0.5", unit="GPUs"
    )
    notify: Annotated[tuple[Text, ...], Field(repr=False)] = setting(
        (),
        "Apprise addresses, such as mailto://…; keep secrets in ${NAME}",
        more="See [Apprise](https://appriseit.com); needs `pip install "
        "'culling-pipeline[notify]'`. `${NAME}` and `${file:…}` work as in `source`.",
    )
    notify_of: tuple[Kind, ...] = setting(
        ("failed", "lost", "drift", "moved"),
        "events to report",
        more="`failed`: a night failed for good; `lost`: a camera does not answer; `drift`: a "
        "camera's data have drifted; `moved`: a camera was moved or covered, so nothing was "
        "trained; `promoted`: a new student is in use.",
    )
    notify_again_h: Positive = setting(24.0, "wait before the same is reported again", unit="hours")
    logs: Literal["text", "json"] = setting(
        "text", "form of the log", more="`json`: one object a line."
    )

    @field_validator("window")
    @classmethod
    def _is_a_window(cls, window: str | None) -> str | None:
        if window is not None:
            first, last = clock_times(window)
            if first == last:
                message = "must begin and end at different times"
                raise ValueError(message)
        return window

    @field_validator("notify")
    @classmethod
    def _fill_in_secrets(cls, notify: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        context = info.context or {}
        if context.get("as_written", False):
            return notify
        filled = tuple(fill_in(address, context["folder"]) for address in notify)
        for address in filled:
            keep_secret(address)
        return filled


def clock_times(window: str) -> tuple[int, int]:
    """Minutes after midnight at which a window such as 01:00–05:00 begins and ends."""
    found = re.fullmatch(r"(\d{1,2}):(\d{2})\s*[-–]\s*(\d{1,2}):(\d{2})", window.strip())
    h1, m1, h2, m2 = map(int, found.groups()) if found else (24, 0, 24, 0)
    if max(h1, h2) > 23 or max(m1, m2) > 59:
        message = "must be two times of a day such as 01:00-05:00"
        raise ValueError(message)
    return 60 * h1 + m1, 60 * h2 + m2
