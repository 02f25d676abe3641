"""Whether the groups of a configuration can be: their names, their members, what these share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches

from jobs.config.alike import WHEN, difference, for_a_group
from jobs.config.settings import CAMERA_NAME, CameraConfig
from jobs.config.shown import shown_value

Groups = Mapping[str, Sequence[str]]


def mistakes(
    groups: Groups, cameras: Mapping[str, CameraConfig], named: Sequence[str]
) -> Iterator[tuple[str, str]]:
    """Each group that cannot be, and why. `named` are all cameras of the file, also those that
    are themselves faulty and therefore not among `cameras`."""
    group_of: dict[str, str] = {}
    for group, members in groups.items():
        if not CAMERA_NAME.fullmatch(group):
            yield group, "a group's name must be of a-z, 0-9, _ and - only"
        if group in named:
            yield group, "a camera has this name already: give the group another one"
        if len(set(members)) < 2:
            yield group, f"got {shown_value(list(members))}, must name two cameras or more"
        for member in dict.fromkeys(members):
            if member not in named:
                yield group, f"there is no camera {shown_value(member)}.{_near(member, named)}"
            elif group_of.setdefault(member, group) != group:
                yield group, f"camera {member!r} is in group {group_of[member]!r} already"
        yield from ((group, why) for why in _unlike(members, cameras))


def _unlike(members: Sequence[str], cameras: Mapping[str, CameraConfig]) -> Iterator[str]:
    found = [cameras[name] for name in dict.fromkeys(members) if name in cameras]
    if len(found) < 2:
        return
    unlike = difference(found, (*for_a_group(found[0]), *WHEN))
    if unlike is not None:
        yield (
            f"{unlike}: cameras of a group share one night and one student, so their schedule, "
            "classes, student, teacher and training must be the same; make them so, or take one "
            "out of the group"
        )


def _near(name: str, known: Sequence[str]) -> str:
    close = get_close_matches(name, known, n=1, cutoff=0.5)
    return f' Did you mean "{close[0]}"?' if close else f" Known: {', '.join(known)}"
