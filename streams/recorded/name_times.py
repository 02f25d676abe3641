"""Times in the names of pictures, without a pattern: the forms that cameras and programs write.

Calendar forms, from the year to the second (`2023-06-13T03_11_46`, `20230613-031146`,
`20230613031146123`, also over folders: `2023/06/13/03/11/46`), from the year to the minute where
it is set off, a date that ends the name, and seconds or milliseconds since 1970.
"""

from __future__ import annotations

import re
from datetime import tzinfo
from pathlib import PurePosixPath

from streams.recorded.path_times import PathTime, time_of

_DATE = r"(?<!\d)(?P<Y>(?:19|20)\d\d)(?P<dash>[-_.:/ ]?)(?P<m>\d\d)(?P=dash)(?P<d>\d\d)"
_PART = r"[-_.:/ hm]"
_ZONE = r"(?P<z>Z|\+\d\d[:_]?\d\d|-\d\d:\d\d)?"
_FORMS = (
    rf"{_DATE}[-_. /T@]{{0,3}}(?P<H>\d\d){_PART}?(?P<M>\d\d){_PART}?(?P<S>\d\d)"
    rf"(?:[.,]?(?P<f>\d{{1,6}}))?(?!\d)s?{_ZONE}",
    rf"{_DATE}(?:T(?P<H>\d\d)(?P<M>\d\d)|[-_. /T@]{{1,3}}(?P<H2>\d\d){_PART}(?P<M2>\d\d))"
    r"(?!\d)",
    rf"{_DATE}(?=\.[a-z]+$)",
    r"(?<!\d)(?P<s>1\d{12}|1\d{9}(?:\.\d{1,6})?)(?!\d)",
)
_FOUND = tuple(re.compile(form, re.IGNORECASE) for form in _FORMS)


class NameTimes:
    """Finds the time in a path; `zone` is what the camera's clock shows, unless the path says."""

    def __init__(self, zone: tzinfo) -> None:
        self.zone = zone

    def find(self, path: str) -> PathTime | None:
        """The time in a path (relative, with `/`): in the file's name if it is whole there, else in
        all of the path. None if there is none."""
        name = PurePosixPath(path).name
        return self._find(name) or (self._find(path) if name != path else None)

    def _find(self, text: str) -> PathTime | None:
        for form in _FOUND:
            for found in form.finditer(text):
                time = time_of(_letters(found), self.zone)
                if time is not None:
                    return time
        return None


def _letters(found: re.Match[str]) -> dict[str, str]:
    """What stands for each letter of strftime."""
    parts = {key: text for key, text in found.groupdict().items() if text is not None}
    parts.pop("dash", None)
    if "z" in parts:
        parts["z"] = parts["z"].replace("_", ":")
    return {key.removesuffix("2"): text for key, text in parts.items()}
