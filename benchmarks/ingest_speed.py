"""How many seconds of a camera's video one second of a core turns into sampled RGB frames.

    python -m benchmarks.ingest_speed --data ../shared/data [--rounds 5] [--live]

720p, 25 frames a second, H.264 at 4 Mbit/s with a keyframe a second, made of a real clip by ffmpeg
(which also is a contender); to one RGB frame a second. Once as it is and once (`noisy`) with a
sensor's noise laid over, which makes keyframes dear: decoding one is what bounds us. Ours is the
whole live source, reader thread, health and timeline included, over a connection that reads the
clip from the disk as fast as it can and moves the source's clock along. CPU seconds of all threads
and children, from after the imports on; all in turns, and medians, because the machine is shared.
`--live` adds what one camera costs by RTSP, against a real server. Writes
benchmarks/results/ingest.json.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2

from benchmarks.testbed.live import USUAL, RtspServer, open_live
from streams.address import Address
from streams.keyframes import Sampling
from streams.live.clock import FakeClock
from streams.live.connection import Arrival, Demand, StreamFacts
from streams.live.packets import PacketConnection, Recipe
from streams.live.source import LiveSource
from streams.sampler import Sampler

RESULTS = Path(__file__).parent / "results"
CLIP = "videos/intel_one-by-one-person_768x432.mp4"
RATE_FPS, LOOP_S, LOOPS = 25, 60, 3
"""Keyframe sampling is timed on so many loops, decoding of everything on one."""
NOISE = ",noise=alls=6:allf=t"
ENCODE = (
    f"-t {LOOP_S} -vf fps={RATE_FPS},scale=1280:720:flags=bicubic{{noise}} -an "
    "-c:v libx264 -preset veryfast -b:v 4M -maxrate 4M -bufsize 4M -g 25 -keyint_min 25 "
    "-sc_threshold 0 -bf 0 -pix_fmt yuv420p"
)
TO_RGB = "-vf fps=1 -pix_fmt rgb24 -f rawvideo -y /dev/null"
LIVE_FRAMES = 20


class ClipConnection:
    """The product's own connection, with a clip in place of a camera; `clock` is the clip's."""

    def __init__(self, clip: Path, sampling: Sampling, clock: FakeClock) -> None:
        recipe = Recipe(
            kind="clip",
            address=Address(str(clip)),
            where=str(clip),
            open_timeout_s=60,
            read_timeout_s=60,
            sampling=sampling,
        )
        self._real, self._clock = PacketConnection(recipe), clock

    @property
    def facts(self) -> StreamFacts:
        return self._real.facts

    def arrivals(self, demand: Demand) -> Iterator[Arrival | None]:
        for arrival in self._real.arrivals(demand):
            if arrival is not None and arrival.pts_s is not None:
                self._clock.advance(arrival.pts_s - self._clock.monotonic())
            yield arrival

    def close(self) -> None:
        self._real.close()


def ours(clip: Path, sampling: Sampling, count: int) -> int:
    """Frames that a consumer has been given, or that were dropped because it was behind."""
    clock = FakeClock()
    options = replace(
        USUAL,
        sampling=sampling,
        must_answer=False,
        first_pause_s=1000.0,
        longest_pause_s=1000.0,
    )
    with LiveSource(
        lambda: ClipConnection(clip, sampling, clock),
        camera="clip",
        location="clip",
        options=options,
        clock=clock,
    ) as source:
        frames = source.frames(Sampler(1.0))
        for _ in frames:
            if source.counts.delivered + source.counts.dropped >= count:
                break
        return source.counts.delivered + source.counts.dropped


def cv2_read(clip: Path) -> int:
    """Every frame decoded and turned into BGR, as plain OpenCV does."""
    capture, count = cv2.VideoCapture(str(clip), cv2.CAP_FFMPEG, [cv2.CAP_PROP_N_THREADS, 1]), 0
    while capture.read()[0]:
        count += 1
    return count // RATE_FPS


def ffmpeg(clip: Path, *, keyframes: bool) -> int:
    skip = ["-skip_frame", "nokey"] if keyframes else []
    command = ["ffmpeg", "-v", "error", "-threads", "1", *skip, "-i", str(clip), *TO_RGB.split()]
    subprocess.run(command, check=True)
    return LOOP_S * (LOOPS if keyframes else 1)


CONTENDERS: dict[str, Callable[[Path], int]] = {
    "ours_exact": lambda clip: ours(clip, "exact", LOOP_S),
    "ours_keyframes": lambda clip: ours(clip, "keyframes", LOOP_S * LOOPS),
    "cv2_read": cv2_read,
    "ffmpeg_keyframes": lambda clip: ffmpeg(clip, keyframes=True),
    "ffmpeg_exact": lambda clip: ffmpeg(clip, keyframes=False),
}


def cpu_s() -> float:
    """CPU seconds of this process, all its threads, and its children that have ended."""
    kinds = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    used = [resource.getrusage(kind) for kind in kinds]
    return sum(u.ru_utime + u.ru_stime for u in used)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--live", action="store_true")
    parser.add_argument("--run", nargs=2, metavar=("CONTENDER", "CLIP"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.run:
        return run(options.run[0], Path(options.run[1]))
    with tempfile.TemporaryDirectory() as folder:
        minute = make_minute(options.data / CLIP, Path(folder) / "plain.mp4")
        found = in_turns(minute, options.rounds)
        if options.live:
            found["live_rtsp"] = {kind: live(minute, kind) for kind in ("exact", "keyframes")}
        noisy = make_minute(options.data / CLIP, Path(folder) / "noisy.mp4", noise=NOISE)
        found["noisy"] = in_turns(noisy, options.rounds)
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "ingest.json").write_text(json.dumps(found, indent=1) + "\n")
    print(json.dumps(found, indent=1))
    return None


def run(name: str, clip: Path) -> None:
    """One contender, in a process of its own."""
    cv2.setNumThreads(1)
    before_s = cpu_s()
    frames = CONTENDERS[name](clip)
    print(json.dumps({"frames": frames, "cpu_s": cpu_s() - before_s}))


def in_turns(minute: Path, rounds: int) -> dict[str, Any]:
    """Video seconds per CPU second of each contender: medians, all figures, and ratios by round."""
    speeds: dict[str, list[float]] = {name: [] for name in CONTENDERS}
    looped = make_loops(minute)
    for _ in range(rounds):
        for name in CONTENDERS:
            clip, seconds = (looped, LOOP_S * LOOPS) if "key" in name else (minute, LOOP_S)
            command = [sys.executable, "-m", "benchmarks.ingest_speed", "--run", name, str(clip)]
            done = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
            assert done["frames"] == seconds, (name, done)
            speeds[name].append(seconds / done["cpu_s"])
            print(name, round(speeds[name][-1], 1), flush=True)

    def ratio(one: str, other: str) -> float:
        pairs = zip(speeds[one], speeds[other], strict=True)
        return round(statistics.median(a / b for a, b in pairs), 3)

    medians = {name: round(statistics.median(found), 2) for name, found in speeds.items()}
    return {
        **medians,
        "unit": "video-seconds per CPU-second, 1280x720 at 25 fps to 1 fps RGB",
        "ratios": {
            "ours_keyframes / ffmpeg_keyframes": ratio("ours_keyframes", "ffmpeg_keyframes"),
            "ours_keyframes / cv2_read": ratio("ours_keyframes", "cv2_read"),
            "ours_exact / ffmpeg_exact": ratio("ours_exact", "ffmpeg_exact"),
            "ours_exact / cv2_read": ratio("ours_exact", "cv2_read"),
        },
        "rounds": {name: [round(s, 2) for s in found] for name, found in speeds.items()},
    }


def make_minute(source: Path, minute: Path, *, noise: str = "") -> Path:
    """As a camera would send it."""
    command = ["ffmpeg", "-v", "error", "-stream_loop", "-1", "-i", str(source)]
    subprocess.run([*command, *ENCODE.format(noise=noise).split(), str(minute)], check=True)
    return minute


def make_loops(minute: Path) -> Path:
    clip = minute.with_stem(f"{minute.stem}-loops")
    command = ["ffmpeg", "-v", "error", "-stream_loop", str(LOOPS - 1), "-i", str(minute)]
    subprocess.run([*command, "-c", "copy", str(clip)], check=True)
    return clip


def live(clip: Path, sampling: Sampling) -> dict[str, float]:
    """What one camera costs by RTSP over TCP: the share of a core, and how many fit into one."""
    units = clip.with_suffix(".h264")
    bitstream = "h264_mp4toannexb,h264_metadata=aud=insert"
    command = ["ffmpeg", "-v", "error", "-y", "-i", str(clip), "-c", "copy", "-bsf:v", bitstream]
    subprocess.run([*command, str(units)], check=True)
    server = RtspServer(units, rate_fps=RATE_FPS)
    try:
        with open_live(server.url(), replace(USUAL, sampling=sampling)) as source:
            frames = source.frames(Sampler(1.0))
            for _ in range(3):
                next(frames)
            before_s, began_s = cpu_s(), time.monotonic()
            for _ in range(LIVE_FRAMES):
                next(frames)
            share = (cpu_s() - before_s) / (time.monotonic() - began_s)
    finally:
        server.kill()
    return {"core_share": round(share, 4), "cameras_per_core": round(1 / share, 1)}


if __name__ == "__main__":
    main()
