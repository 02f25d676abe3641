"""How fast a recorder's day is read: keyframes of many segments against FFmpeg's own program,
single frames by a seek, and how long listing a month of segments takes.

    python -m benchmarks.recordings --data ../shared/data --ffmpeg ffmpeg

A recorder's tree (Frigate's layout, ten-second segments, 25 frames and a keyframe a second) is made
of a real clip in a temporary folder; segments repeat after a minute. `ours_keyframes` are keyframes
a second, as RGB, by the source as a night reads it; `ffmpeg_keyframes` by one
`ffmpeg -skip_frame nokey` over a list of the same segments with the same output (rgb24, thrown
away); `loop_keyframes` by the plainest loop over PyAV. All three are keyframes for each second of
CPU time, of all threads, so that other work on the machine weighs on all alike; those with `_wall`
go by the clock. The ways take turns, several times, and the best of each counts. Without --ffmpeg
only the loop is compared. Writes benchmarks/results/recordings.json.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from streams.open import open_source
from streams.recorded.path_times import PathTimes
from streams.recorded.recordings.layouts import layout_named
from streams.recorded.recordings.listing import Lister, Period
from streams.recorded.recordings.options import RecordingsOptions
from streams.recorded.recordings.source import Recordings
from streams.sampler import Sampler

RESULTS = Path(__file__).parent / "results"
CLIP = "videos/night_ir_driveway_960x1088.mp4"
FIRST = datetime(2026, 10, 1, tzinfo=UTC)
SEGMENT_S, RATE_FPS, DIFFERENT = 10, 25, 6
"""Ten-second segments of 25 frames a second; a minute of them is different."""
LISTED, CAMERAS = 200_000, ("north", "south", "yard")
TURNS = 3


def pictures(data: Path) -> Iterator[NDArray[np.uint8]]:
    """The clip's frames, over and over."""
    with open_source(str(data / CLIP), camera="clip") as source:
        while True:
            yield from (frame.image for frame in source.frames())


def write_segment(path: Path, frames: Iterator[NDArray[np.uint8]]) -> None:
    """Ten seconds, as a camera's main stream has them."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=RATE_FPS)
        stream.options = {"preset": "veryfast", "g": str(RATE_FPS), "crf": "23", "bf": "0"}
        for number in range(SEGMENT_S * RATE_FPS):
            image = next(frames)
            if not number:
                stream.height, stream.width = image.shape[0] // 2 * 2, image.shape[1] // 2 * 2
                stream.pix_fmt = "yuv420p"
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, RATE_FPS)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def make_tree(root: Path, data: Path, count: int) -> list[Path]:
    """So many segments of one camera, one after the other."""
    frames, made = pictures(data), []
    for number in range(DIFFERENT):
        made.append(root / f"clip-{number}.mp4")
        write_segment(made[-1], frames)
    paths = []
    for number in range(count):
        start = FIRST + timedelta(seconds=SEGMENT_S * number)
        path = root / "rec" / f"{start:%Y-%m-%d/%H}" / "yard" / f"{start:%M.%S}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        os.link(made[number % DIFFERENT], path)
        paths.append(path)
    os.utime(paths[-1], (0, 0))
    return paths


def opened(root: Path, count: int) -> Recordings:
    until = FIRST + timedelta(seconds=SEGMENT_S * count)
    options = RecordingsOptions(until=until, hours=SEGMENT_S * count / 3600)
    return Recordings(root / "rec", camera="yard", options=options)


def ours(root: Path, count: int) -> int:
    """All keyframes, as a night that reads all takes them."""
    with opened(root, count) as source:
        return sum(1 for _ in source.frames(Sampler(1.0)))


def by_ffmpeg(program: str, paths: list[Path], listed: Path) -> int:
    """All keyframes by FFmpeg's program; it says how many at its end."""
    listed.write_text("".join(f"file '{path}'\n" for path in paths))
    command = [program, "-nostdin", "-v", "info", "-skip_frame", "nokey", "-f", "concat"]
    command += ["-safe", "0", "-i", str(listed), "-an", "-fps_mode", "passthrough"]
    command += ["-pix_fmt", "rgb24", "-f", "rawvideo", "-y", os.devnull]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return int(done.stderr.rsplit("frame=", 1)[1].split()[0])


def by_loop(paths: list[Path]) -> int:
    """All keyframes, file by file in one thread."""
    count = 0
    for path in paths:
        with av.open(str(path)) as container:
            stream = container.streams.video[0]
            stream.codec_context.skip_frame = "NONKEY"
            for frame in container.decode(stream):
                frame.to_ndarray(format="rgb24")
                count += 1
    return count


def best(ways: dict[str, Callable[[], int]]) -> dict[str, float]:
    """Keyframes for a second of CPU time, and by the clock, by each way, in turns."""
    found = {key: 0.0 for name in ways for key in (name, f"{name}_wall")}
    for _ in range(TURNS):
        for name, way in ways.items():
            began_s, used_s = time.perf_counter(), _cpu_s()
            count = way()
            found[name] = max(found[name], count / (_cpu_s() - used_s))
            wall = count / (time.perf_counter() - began_s)
            found[f"{name}_wall"] = max(found[f"{name}_wall"], wall)
    return found


def looks(root: Path, count: int, wanted: int) -> dict[str, float]:
    """Single frames at even moments: what each costs."""
    with opened(root, count) as source:
        moments = source.moments(1.0) or []
        chosen = moments[:: max(1, len(moments) // wanted)]
        began_s = time.perf_counter()
        got = sum(1 for _ in source.frames_at(chosen))
    took_s = time.perf_counter() - began_s
    return {"looks": got, "looks_s": took_s, "ms_a_look": 1e3 * took_s / max(1, got)}


def listing(root: Path) -> dict[str, float]:
    """A month of three cameras as empty files: listed as a whole, and one camera's day of it."""
    step = timedelta(seconds=round(30 * 86_400 * len(CAMERAS) / LISTED))
    start, made = FIRST, 0
    while made < LISTED:
        for camera in CAMERAS:
            folder = root / "month" / f"{start:%Y-%m-%d/%H}" / camera
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"{start:%M.%S}.mp4").touch()
            made += 1
        start += step
    layout = layout_named("frigate")
    assert layout is not None
    times = PathTimes(layout.patterns[0], UTC)
    began_s, used_s, used_kb = time.perf_counter(), _cpu_s(), _memory_kb()
    whole = Lister(str(root / "month"), times).list()
    list_s, list_mb = time.perf_counter() - began_s, (_memory_kb() - used_kb) / 1024
    list_cpu_s = _cpu_s() - used_s
    began_s = time.perf_counter()
    day = Period(*((FIRST + timedelta(days=d)).timestamp() for d in (10, 11)))
    mine = Lister(str(root / "month"), times, camera="yard").list(day)
    return {
        "listed": len(whole.segments),
        "list_s": list_s,
        "list_cpu_s": list_cpu_s,
        "list_mb": list_mb,
        "listed_day": len(mine.segments),
        "list_day_s": time.perf_counter() - began_s,
    }


def _cpu_s() -> float:
    """Of this process and of those that it has waited for."""
    used = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(u.ru_utime + u.ru_stime for u in used)


def _memory_kb() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def main() -> int | None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="the folder with videos/")
    parser.add_argument("--ffmpeg", default=None, help="FFmpeg's program to compare with")
    parser.add_argument("--segments", type=int, default=180)
    parser.add_argument("--folder", type=Path, default=None, help="where the trees are made")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=args.folder) as folder:
        root = Path(folder)
        figures: dict[str, Any] = {"segments": args.segments, "cores": os.cpu_count()}
        figures |= listing(root)
        paths = make_tree(root, args.data, args.segments)
        ways: dict[str, Callable[[], int]] = {
            "ours_keyframes": lambda: ours(root, args.segments),
            "loop_keyframes": lambda: by_loop(paths),
        }
        if args.ffmpeg is not None:
            ways["ffmpeg_keyframes"] = lambda: by_ffmpeg(args.ffmpeg, paths, root / "list.txt")
        figures |= best(ways)
        figures |= looks(root, args.segments, 60)
        with opened(root, args.segments) as source:
            info = source.info
            figures["picture"] = f"{info.width_px}×{info.height_px}"
        figures["memory_mb"] = _memory_kb() / 1024
    (RESULTS / "recordings.json").write_text(json.dumps(figures, indent=1) + "\n")
    print(json.dumps(figures, indent=1))
    return None


if __name__ == "__main__":
    main()
