"""Packets to pictures: what is damaged is never shown."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import av
import pytest

from streams.address import Address
from streams.base import ConnectionFailedError
from streams.live.connection import Arrival, Demand
from streams.live.packets import PacketConnection, Recipe
from tests.unit.clips import constant_rate, read_number, write_clip

GROUP = 25
"""Frames from one keyframe to the next in the clips."""

REORDERED = 3
"""So many pictures are decoded before they are shown, or after."""


def arrivals(path: Path) -> list[Arrival]:
    """All there are; as live sources see it, the file's end is a failure."""
    recipe = Recipe(
        kind="file", address=Address(str(path)), where="w", open_timeout_s=5, read_timeout_s=5
    )
    connection, got = PacketConnection(recipe), []
    with pytest.raises(ConnectionFailedError, match="ended"):
        got.extend(a for a in connection.arrivals(Demand()) if a is not None)
    connection.close()
    return got


def shown(path: Path) -> list[int | None]:
    """The number in each picture; None for a damaged one."""
    images = [a.picture.rgb() if a.picture else None for a in arrivals(path)]
    return [None if image is None else read_number(image) for image in images]


def with_packets(source: Path, target: Path, change: Callable[[int, bytes], bytes]) -> Path:
    """The same clip with its packets, in the order of decoding, as `change` makes them."""
    with av.open(str(source)) as clip, av.open(str(target), "w") as copy:
        stream = copy.add_stream_from_template(clip.streams.video[0])
        for number, packet in enumerate(p for p in clip.demux(video=0) if p.size):
            changed = av.Packet(change(number, bytes(packet)))
            changed.stream, changed.time_base = stream, packet.time_base
            changed.pts, changed.dts, changed.is_keyframe = (
                packet.pts,
                packet.dts,
                packet.is_keyframe,
            )
            copy.mux(changed)
    return target


@pytest.mark.parametrize("first", [GROUP + 4, GROUP])
def test_after_damage_nothing_is_shown_until_the_next_whole_keyframe(
    tmp_path: Path, first: int
) -> None:
    clip = write_clip(tmp_path / "c.mkv", constant_rate(3 * GROUP))
    assert shown(clip)[: 2 * GROUP] == list(range(2 * GROUP))

    def cut_short(number: int, data: bytes) -> bytes:
        return data[: len(data) * 2 // 3] if number == first else data

    numbers = shown(with_packets(clip, tmp_path / "d.mkv", cut_short))
    before = numbers.index(None)
    after = numbers.index(2 * GROUP)
    assert first - REORDERED <= before < first
    assert numbers[:before] == list(range(before))
    assert set(numbers[before:after]) == {None}
    assert numbers[after:] == list(range(2 * GROUP, len(numbers[after:]) + 2 * GROUP))
