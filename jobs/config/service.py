"""What can be configured of the service, `culling run`."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator

from jobs.config.fields import Count, Positive, Real, Section, Text
from jobs.config.secrets import fill_in
from streams.secret_words import keep_secret

Kind = Literal["failed", "lost", "drift", "moved", "promoted"]


class ServiceSettings(Section):
    """When and where nights run, and who hears of them."""

    watch: Annotated[bool, Field(strict=True)] = True
    window: Text | None = None
    budget_minutes: Positive | None = None
    starve_nights: Count = 7
    nights_at_once: Count | Literal["auto"] = "auto"
    tries: Count = 3
    retry_after_s: Positive = 300.0
    early_nights: Annotated[bool, Field(strict=True)] = True
    executor: Literal["local", "ray"] = "local"
    ray_address: Text | None = None
    cpus_per_night: Positive | None = None
    gpus_per_night: Annotated[Real, Field(ge=0)] = 0.0
    port: Annotated[int, Field(strict=True, ge=0, le=65535)] | None = 8756
    notify: Annotated[tuple[Text, ...], Field(repr=False)] = ()
    notify_of: tuple[Kind, ...] = ("failed", "lost", "drift", "moved")
    notify_again_h: Positive = 24.0
    logs: Literal["text", "json"] = "text"

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
