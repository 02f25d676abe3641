"""The `pictures:` section: when the pictures of a folder were taken, and which days are used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import BeforeValidator, field_validator, model_validator

from jobs.config.fields import Section, Text, setting

if TYPE_CHECKING:
    from streams.recorded.picture_times import PictureOptions


def _as_text(value: object) -> object:
    """YAML reads `2026-01-31` as a date."""
    return value if isinstance(value, str | None) else str(value)


class PicturesSettings(Section):
    """The fields of `streams.recorded.picture_times.PictureOptions`."""

    time: Literal["auto", "name", "exif", "file", "numbered"] = setting(
        "auto",
        "where a picture's time stands: in its name, in EXIF, the file's; numbered: nowhere",
        more="`auto` reads the names. If nine in ten hold a time, pictures are played at their own "
        "times, and the few others are dated by EXIF. A folder without times in its names is "
        "numbered: one picture a second. Only where all pictures lie in folders in it, `auto` "
        "goes on to EXIF and then to the files' times. `culling check` says what it found.",
    )
    pattern: Text | None = setting(
        None,
        'how the time stands in the path, such as "%Y/%m/%d/yard_%H%M%S.jpg"; null: usual forms',
        more="Written from the source's folder, with strftime's letters (`%s` is seconds since "
        "1970) and `*` for any text. Pictures that do not fit are left out and counted.",
    )
    time_zone: Text | None = setting(
        None,
        "what the clock in the names shows, such as UTC; null: the camera's `time_zone`",
        more="It does not count where a name or EXIF says its own zone.",
    )
    days: Annotated[Text, BeforeValidator(_as_text, json_schema_input_type=Text)] = setting(
        "all",
        "what a night takes: all, last (the last day that is over), or 2026-01-30..2026-02-05",
        more="Days are those of the camera's `time_zone`; if that is null, of "
        "`pictures.time_zone`. With `last` each night is about one day, as it is for a live "
        "camera; with `all` about everything so far.",
    )

    @field_validator("pattern")
    @classmethod
    def _is_a_pattern(cls, pattern: str | None) -> str | None:
        if pattern is not None:
            from datetime import UTC

            from streams.recorded.path_times import PathTimes

            PathTimes(pattern, UTC)
        return pattern

    @field_validator("time_zone")
    @classmethod
    def _is_a_time_zone(cls, name: str | None) -> str | None:
        if name is not None:
            from jobs.config.local_zone import time_zone

            time_zone(name)
        return name

    @field_validator("days")
    @classmethod
    def _are_days(cls, days: str) -> str:
        from streams.recorded.days import parse_days

        return str(parse_days(days))

    @model_validator(mode="after")
    def _pattern_is_of_names(self) -> Self:
        if self.pattern is not None and self.time not in ("auto", "name"):
            message = f"pattern: is for time: name, got time: {self.time}; leave one of them out"
            raise ValueError(message)
        return self

    def to_options(self, camera_zone: str | None) -> PictureOptions:
        """The options for `streams.open`, with the camera's own `time_zone`."""
        from jobs.config.local_zone import time_zone
        from streams.recorded.days import parse_days
        from streams.recorded.picture_times import PictureOptions

        return PictureOptions(
            time=self.time,
            pattern=self.pattern,
            zone=time_zone(self.time_zone or camera_zone),
            days=parse_days(self.days),
            local=time_zone(camera_zone or self.time_zone),
        )
