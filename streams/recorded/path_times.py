"""Times in paths: what a recorder wrote into the names of its folders and files, read by a pattern.

A pattern is strftime's, written from the folder that is given: `%Y/%m/%d/yard_%H%M%S.mp4`. Besides
strftime's letters `*` stands for any text within a name, and `{camera}` for any such text that is
wanted back by its name. Letters that come twice must agree.

Both changes of the clock: a time that the clock never showed (in spring) is read as if the clock
had not been set yet. A time that it showed twice (in autumn) is the first of the two, unless the
file was last written within an hour after the second (less its usual length, where that is known).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from functools import lru_cache
from typing import NamedTuple

_TWO = r"\d\d"
_LETTERS = {
    "Y": r"\d{4}",
    "y": _TWO,
    "m": _TWO,
    "d": _TWO,
    "H": _TWO,
    "I": _TWO,
    "M": _TWO,
    "S": _TWO,
    "f": r"\d{1,6}",
    "j": r"\d{3}",
    "b": "jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec",
    "p": "am|pm",
    "s": r"\d{13}|\d{9,10}(?:\.\d+)?",
    "z": r"z|[+-]\d\d:?\d\d",
    "-m": r"\d{1,2}",
    "-d": r"\d{1,2}",
    "-H": r"\d{1,2}",
    "-M": r"\d{1,2}",
    "-S": r"\d{1,2}",
}
"""What each letter stands for. `%s` is seconds since 1970, of 13 digits milliseconds; `%-d` is a
number without its leading nought."""

_SHORT = {"F": "%Y-%m-%d", "T": "%H:%M:%S"}
_MONTHS = {name: number for number, name in enumerate(_LETTERS["b"].split("|"), 1)}
_TOKEN = re.compile(r"%(-?.?)|(\*)|\{([^{}]*)\}|([^%*{]+|.)", re.DOTALL)
_NAME = re.compile(r"[a-z][a-z_]{0,30}")
_HOUR_S = 3600.0
_NAMED = "name_"
_MINUTE = "YymbdjHIpM"


class PatternError(ValueError):
    """This is no pattern, or it names no whole time; the text says what to write."""


class PathTime(NamedTuple):
    """A time from a path, in seconds since 1970. `again_s` is the other moment of a time that the
    clock showed twice. `names` has what stood for the pattern's `{names}`."""

    at_s: float
    again_s: float | None
    names: Mapping[str, str]

    def settled_s(self, written_s: float | None, *, length_s: float = 0.0) -> float:
        """The one moment; `written_s` is when the file was last written, if that is known, and
        `length_s` how long after their beginning such files are. Both are asked for only if
        `again_s` is not None."""
        if self.again_s is None or written_s is None:
            return self.at_s
        slack_s = min(length_s, _HOUR_S) / 2
        late_s = written_s - length_s - self.again_s
        return self.again_s if -slack_s <= late_s < _HOUR_S - slack_s else self.at_s


class PathTimes:
    """A compiled pattern; `zone` is what the recorder's clock shows, unless the path has `%z`."""

    def __init__(self, pattern: str, zone: tzinfo) -> None:
        self.pattern, self.zone = pattern, zone
        parts = pattern.split("/")
        if not all(parts):
            message = (
                f"pattern {pattern!r}: it is written from the recorder's folder, without a stroke "
                "at its beginning or end: %Y/%m/%d/yard_%H%M%S.mp4"
            )
            raise PatternError(message)
        seen: set[str] = set()
        levels = [_expression(part, seen, pattern) for part in parts]
        self.names = tuple(sorted(s[len(_NAMED) :] for s in seen if s.startswith(_NAMED)))
        _require_whole({s for s in seen if not s.startswith(_NAMED)}, pattern)
        self._levels = [
            re.compile("/".join(levels[: depth + 1]), re.IGNORECASE) for depth in range(len(levels))
        ]
        self._whole = self._levels[-1]

    @property
    def depth(self) -> int:
        """How many folders deep the files lie: 0 for files in the folder itself."""
        return len(self._levels) - 1

    def find(self, path: str) -> PathTime | None:
        """The time in a path (relative, with `/`); None if the pattern does not fit it, or if it
        holds no time that there is, such as the 31st of February."""
        found = self._whole.fullmatch(path)
        if found is None:
            return None
        parts = found.groupdict()
        try:
            at_s, again_s = _moment(parts, self.zone)
        except (ValueError, OverflowError):
            return None
        return PathTime(at_s, again_s, {name: parts[_NAMED + name] for name in self.names})

    def moment(self, path: str, *, written_s: float | None = None) -> datetime | None:
        """The time in a path, in UTC."""
        found = self.find(path)
        if found is None:
            return None
        return datetime.fromtimestamp(found.settled_s(written_s), UTC)

    def fits_folder(self, path: str) -> bool:
        """Whether files may lie in or below this folder (relative, with `/`)."""
        depth = path.count("/")
        return depth < self.depth and self._levels[depth].fullmatch(path) is not None

    def folder_names(self, path: str) -> Mapping[str, str]:
        """What stands in a folder's path for the pattern's `{names}`, as far as it goes."""
        found = self._levels[path.count("/")].fullmatch(path)
        parts = {} if found is None else found.groupdict()
        return {n: parts[_NAMED + n] for n in self.names if _NAMED + n in parts}

    def folder_days(self, path: str) -> tuple[date, date] | None:
        """The first and the last day, on the recorder's clock, of which this folder's name lets it
        hold files; None if the name says nothing of that."""
        found = self._levels[path.count("/")].fullmatch(path)
        parts = {} if found is None else found.groupdict()
        try:
            return _days(parts)
        except (ValueError, OverflowError):
            return None


def time_of(parts: Mapping[str, str], zone: tzinfo) -> PathTime | None:
    """The time that these letters of strftime say; None if there is no such time."""
    try:
        at_s, again_s = _moment(parts, zone)
    except (ValueError, OverflowError):
        return None
    return PathTime(at_s, again_s, {})


def _expression(text: str, seen: set[str], pattern: str) -> str:
    """The regular expression of one folder's or file's name; what it holds is added to `seen`."""
    result = []
    for letter, star, name, plain in _TOKEN.findall(text):
        if letter in _SHORT:
            result.append(_expression(_SHORT[letter], seen, pattern))
        elif star:
            result.append("[^/]*?")
        elif letter == "%":
            result.append("%")
        elif plain and plain != "%" and plain != "{":
            result.append(re.escape(plain))
        else:
            result.append(_group(letter, name, seen, pattern))
    return "".join(result)


def _group(letter: str, name: str, seen: set[str], pattern: str) -> str:
    if letter:
        known, group = _LETTERS.get(letter), letter.removeprefix("-")
    else:
        known = "[^/]+?" if _NAME.fullmatch(name) else None
        group = _NAMED + name
    if known is None:
        wrong = f"%{letter}" if letter else f"{{{name}"
        allowed = ", ".join(f"%{x}" for x in [*_LETTERS, *_SHORT, "%"])
        message = (
            f"pattern {pattern!r}: {wrong!r} means nothing here; allowed: {allowed}, * for any "
            "text and {camera} for a name in small letters"
        )
        raise PatternError(message)
    if group in seen:
        return f"(?P={group})"
    seen.add(group)
    return f"(?P<{group}>{known})"


def _require_whole(letters: set[str], pattern: str) -> None:
    """A date must be whole, and no unit of time may stand without the larger one."""
    has_day = {"m", "d"} <= letters or {"b", "d"} <= letters or "j" in letters
    has_date = bool(letters & {"Y", "y"}) and has_day
    missing = None
    if "s" in letters:
        pass
    elif not has_date:
        missing = "a whole date: %Y with %m and %d (or %b and %d, or %j), or %s alone"
    elif ("I" in letters) != ("p" in letters):
        missing = "%I and %p together, or %H"
    elif "M" in letters and not letters & {"H", "I"}:
        missing = "the hour (%H) that its %M belongs to"
    elif "S" in letters and "M" not in letters:
        missing = "the minute (%M) that its %S belongs to"
    elif "f" in letters and "S" not in letters:
        missing = "the second (%S) that its %f belongs to"
    if missing is not None:
        message = f"pattern {pattern!r} lacks {missing}"
        raise PatternError(message)


def _moment(parts: Mapping[str, str], zone: tzinfo) -> tuple[float, float | None]:
    if "s" in parts:
        digits = parts["s"]
        whole_s = float(digits) / (1000 if len(digits) == 13 and "." not in digits else 1)
        return whole_s + _fraction_s(parts), None
    get = parts.get
    if "z" in parts:
        zone = _offset(parts["z"])
    at_s, again_s = _minute_s(*map(get, _MINUTE), zone=zone)
    after_s = float(get("S", 0))
    if "f" in parts:
        after_s += _fraction_s(parts)
    if after_s >= 61:
        message = f"no such second: {after_s}"
        raise ValueError(message)
    return at_s + after_s, None if again_s is None else again_s + after_s


def _fraction_s(parts: Mapping[str, str]) -> float:
    return float("0." + parts["f"]) if "f" in parts else 0.0


def _hour(parts: Mapping[str, str]) -> int:
    if "I" not in parts:
        return int(parts.get("H", 0))
    hour = int(parts["I"])
    if not 1 <= hour <= 12:
        message = f"no such hour: {hour}"
        raise ValueError(message)
    return hour % 12 + 12 * (parts["p"].lower() == "pm")


def _year(parts: Mapping[str, str]) -> int | None:
    if "Y" in parts:
        return int(parts["Y"])
    return 2000 + int(parts["y"]) if "y" in parts else None


def _month(parts: Mapping[str, str]) -> int | None:
    if "m" in parts:
        return int(parts["m"])
    return _MONTHS[parts["b"].lower()] if "b" in parts else None


def _date(parts: Mapping[str, str]) -> date:
    year, month = _year(parts), _month(parts)
    assert year is not None
    if month is not None and "d" in parts:
        return date(year, month, int(parts["d"]))
    return date.fromordinal(date(year, 1, 1).toordinal() + int(parts["j"]) - 1)


def _days(parts: Mapping[str, str]) -> tuple[date, date] | None:
    """The days that a part of a path leaves open."""
    if "s" in parts or _year(parts) is None:
        return None
    year, month = _year(parts), _month(parts)
    assert year is not None
    if "j" in parts or (month is not None and "d" in parts):
        return _date(parts), _date(parts)
    if month is None:
        return date(year, 1, 1), date(year, 12, 31)
    following = date(year + month // 12, month % 12 + 1, 1)
    return date(year, month, 1), following - timedelta(days=1)


def _offset(text: str) -> tzinfo:
    if text in "zZ":
        return UTC
    hours, minutes = int(text[1:3]), int(text[-2:])
    ahead = timedelta(hours=hours, minutes=minutes)
    return timezone(-ahead if text[0] == "-" else ahead)


@lru_cache(maxsize=4096)
def _minute_s(*texts: str | None, zone: tzinfo) -> tuple[float, float | None]:
    """When this minute of the clock began, and when it did so again; most segments of a day share
    their minute with others. `texts` are what stands for each letter of `_MINUTE`."""
    letters = zip(_MINUTE, texts, strict=True)
    parts = {letter: text for letter, text in letters if text is not None}
    date_shown, minute = _date(parts), int(parts.get("M", 0))
    shown = datetime.combine(date_shown, time(_hour(parts), minute), zone)
    at_s, again_s = shown.timestamp(), shown.replace(fold=1).timestamp()
    return at_s, again_s if again_s > at_s else None
