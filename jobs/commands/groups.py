"""What `culling plan --groups` prints: proposed groups, who stays alone, and what it took."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from culling_pipeline.report.words import count, duration, figure
from jobs.commands.listing import Listing, Name
from jobs.nights.grouping import Group, Groups, in_points


def groups_table(found: Groups) -> Listing:
    """One row a camera of a group."""
    table = Listing("group", "camera", "own student", "average", "difference (95 %)")
    for number, group in enumerate(found.groups, start=1):
        for line in group.lines:
            table.add_row(
                str(number),
                Name(line.camera),
                figure(line.own),
                figure(line.shared),
                f"{in_points(line.gain)} points ({in_points(line.low)} to {in_points(line.high)})",
            )
    return table


def alone_table(found: Groups) -> Listing:
    """One row a camera that is in no group."""
    table = Listing("stays alone", "because")
    for camera, why in found.alone.items():
        table.add_row(Name(camera), why)
    return table


def in_words(found: Groups) -> str:
    """What each group would save, what to write into the configuration, and what it took."""
    lines = [_saved(number, group) for number, group in enumerate(found.groups, start=1)]
    new = [group for group in found.groups if not group.is_one]
    if new:
        named = ", ".join(f"NAME: [{', '.join(group.cameras)}]" for group in new)
        lines.append(f"to share, write into config.yaml (a name for each): groups: {{{named}}}")
    if found.groups:
        lines.append(
            "the average of a group's students is a lower bound: one training on the frames of all "
            "cameras does better, and comes into use only where no camera is clearly worse"
        )
    else:
        lines.append("no group is proposed")
    lines.append(f"{count(found.looks, 'look')}, {duration(found.seconds)} of detector work")
    return "\n".join(lines)


def groups_to_dict(found: Groups) -> dict[str, Any]:
    """As JSON."""
    groups = [{"cameras": group.cameras, **asdict(group)} for group in found.groups]
    return {**asdict(found), "groups": groups}


def _saved(number: int, group: Group) -> str:
    if group.is_one:
        return f"group {number}: its cameras share a student already"
    return (
        f"group {number}: one training instead of {len(group.lines)}: about "
        f"{duration(group.training_s)} instead of {duration(group.own_training_s)} a night"
    )
