"""How recorders lay their files out: the layouts that are known by name.

Each pattern is as in `streams.recorded.path_times`, from the folder that is given; several stand
for the several folders that people give. Read, in November 2026, in public repositories:

- `frigate`: `YYYY-MM-DD/HH/CAMERA/MM.SS.mp4` in UTC (blakeblackshear/frigate,
  docs/docs/configuration/record.md).
- `frigate_old`: `YYYY-MM/DD/HH/CAMERA/MM.SS.mp4` in local time (the same before 0.12, record.py).
- `motioneye`: `YYYY-MM-DD/HH-MM-SS.mp4`, a folder a camera (motioneye-project/motioneye, the
  default of `movie_filename`).
- `motion`: `EVENT-YYYYMMDDHHMMSS.mkv` (motion.conf, the default `%v-%Y%m%d%H%M%S`).
- `shinobi`: `GROUP/MONITOR/YYYY-MM-DDTHH-MM-SS.mp4` (Shinobi's camera.js, `-segment_time`).
- `mediamtx`: `PATH/YYYY-MM-DD_HH-MM-SS-FRACTION.mp4` (bluenviron/mediamtx, `recordPath`).
- `zoneminder`: `MONITOR/yy/mm/dd/HH/MM/SS/ID-video.mp4`, the *deep* storage (ZoneMinder,
  src/zm_event.cpp). In *medium* and *shallow* storage the time is in no path: it is not read.
- `dahua`: `YYYY-MM-DD/001/dav/HH/HH.MM.SS-HH.MM.SS[M][0@0][0].dav`, on a disk, an SD card or by
  FTP (several parsers of these names; Amcrest's are the same).
- `reolink`: by FTP `NAME_00_YYYYMMDDHHMMSS.mp4`, flat or in `YYYY/MM/DD`; on the SD card
  `Mp4Record/YYYY-MM-DD/RecM01_YYYYMMDD_HHMMSS_….mp4` (parsers of both).
- `synology`: `CAMERA/YYYYMMDDAM/CAMERAYYYYMMDD-HHMMSS-EPOCH.mp4` (answers of Surveillance
  Station's web interface in tests of its clients).
- `blue_iris`: `CAMERA.YYYYMMDD_HHMMSS.mp4`, also in folders by camera or month (its manual,
  `&CAM.%Y%m%d_%H%M%S`). Its own `.bvr` files are read by nothing else: let it write MP4.
"""

from __future__ import annotations

from dataclasses import dataclass

AUTO = "auto"

VIDEO_SUFFIXES = frozenset(
    {".mp4", ".mkv", ".ts", ".mov", ".avi", ".dav", ".m4v", ".webm", ".flv", ".mpg", ".mpeg"}
    | {".m2ts", ".mts", ".3gp", ".wmv", ".h264", ".h265", ".264", ".265"}
)
"""What a segment's name ends in, whatever a pattern says."""

OTHERS_ALONE = frozenset({".bvr"})
"""Videos that only their own program can read."""


@dataclass(frozen=True, slots=True)
class Layout:
    """A recorder's patterns; `in_utc` where its names are in UTC, whatever its clock shows."""

    name: str
    patterns: tuple[str, ...]
    in_utc: bool = False


LAYOUTS = (
    Layout("frigate", ("%Y-%m-%d/%H/{camera}/%M.%S.mp4",), in_utc=True),
    Layout("frigate_old", ("%Y-%m/%d/%H/{camera}/%M.%S.mp4",)),
    Layout("motioneye", ("{camera}/%Y-%m-%d/%H-%M-%S.*", "%Y-%m-%d/%H-%M-%S.*")),
    Layout("motion", ("*-%Y%m%d%H%M%S.*", "{camera}/*-%Y%m%d%H%M%S.*")),
    Layout(
        "shinobi",
        (
            "*/{camera}/%Y-%m-%dT%H-%M-%S.*",
            "{camera}/%Y-%m-%dT%H-%M-%S.*",
            "%Y-%m-%dT%H-%M-%S.*",
        ),
    ),
    Layout(
        "mediamtx",
        (
            "{camera}/%Y-%m-%d_%H-%M-%S-%f.*",
            "*/{camera}/%Y-%m-%d_%H-%M-%S-%f.*",
            "%Y-%m-%d_%H-%M-%S-%f.*",
        ),
    ),
    Layout("zoneminder", ("{camera}/%y/%m/%d/%H/%M/%S/*-video*.*", "%y/%m/%d/%H/%M/%S/*-video*.*")),
    Layout(
        "dahua",
        (
            "%Y-%m-%d/{camera}/*/%H/%H.%M.%S-*.*",
            "{camera}/%Y-%m-%d/*/*/%H/%H.%M.%S-*.*",
            "*/{camera}/%Y-%m-%d/*/*/%H/%H.%M.%S-*.*",
        ),
    ),
    Layout(
        "reolink",
        (
            "{camera}_*_%Y%m%d%H%M%S.*",
            "%Y/%m/%d/{camera}_*_%Y%m%d%H%M%S.*",
            "%Y/%m/{camera}_*_%Y%m%d%H%M%S.*",
            "*/%Y/%m/%d/{camera}_*_%Y%m%d%H%M%S.*",
            "%Y-%m-%d/Rec*%Y%m%d_%H%M%S_*.*",
            "Mp4Record/%Y-%m-%d/Rec*%Y%m%d_%H%M%S_*.*",
        ),
    ),
    Layout(
        "synology",
        ("{camera}/%Y%m%d*m/*%Y%m%d-%H%M%S-%s.*", "%Y%m%d*m/*%Y%m%d-%H%M%S-%s.*"),
    ),
    Layout(
        "blue_iris",
        (
            "{camera}.%Y%m%d_%H%M%S*.*",
            "{camera}/{camera}.%Y%m%d_%H%M%S*.*",
            "%Y%m/{camera}.%Y%m%d_%H%M%S*.*",
            "%Y%m%d/{camera}.%Y%m%d_%H%M%S*.*",
        ),
    ),
)

NAMES = tuple(layout.name for layout in LAYOUTS)


def layout_named(name: str) -> Layout | None:
    """The layout of this name; None if there is none."""
    return next((layout for layout in LAYOUTS if layout.name == name), None)
