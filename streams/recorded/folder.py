"""Folders of pictures as sources: numbered ones at a steady rate, dated ones at their own times."""

from __future__ import annotations

import hashlib
import logging
import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta, tzinfo
from itertools import islice, pairwise
from pathlib import Path
from statistics import median

import numpy as np
from numpy.typing import NDArray

from streams.base import (
    Frame,
    FrameSource,
    SourceInfo,
    SourceUnreadableError,
    StreamError,
    as_utc,
    printable,
    redact_url,
)
from streams.left_out import LeftOut, in_words
from streams.pictures import (
    BYTES_A_PIXEL,
    MOST_PIXELS,
    PictureError,
    decode_picture,
    read_bytes,
    read_picture,
)
from streams.recorded.path_times import PatternError
from streams.recorded.picture_files import Listing, allowed_suffixes, list_pictures
from streams.recorded.picture_times import (
    IN_WORDS,
    Dated,
    PictureOptions,
    date_pictures,
    has_exif,
)
from streams.sampler import Sampler

logger = logging.getLogger(__name__)

LOOKED_AT = 15
"""So many images, evenly spaced, say which size is the commonest."""

SAME_FILE = "the same file as an earlier one"


class PictureFolder(FrameSource):
    """Pictures, each at its time.

    One that cannot be read, is damaged or larger than `most_pixels` is left out and leaves its
    place in time empty. `info` has the commonest size; pictures of others come as they are. With
    `each_once` a picture that is byte for byte an earlier one of the pass is left out as well.
    """

    each_once = False

    def __init__(
        self,
        listing: Listing,
        times_s: Sequence[float],
        info: SourceInfo,
        camera: str,
        *,
        most: int,
    ) -> None:
        """`info` lacks only the size; `most` is how many pixels a picture may have."""
        self._listing, self._times_s, self._camera = listing, times_s, camera
        self._where = f"camera {camera!r}: {info.location}"
        self._most_pixels = most
        self._closed = False
        self._others = listing.others
        self._left_out = LeftOut(self._where)
        self._first_reason = ""
        height_px, width_px = self._commonest_shape()
        self._info = info.of_size(height_px, width_px)

    @property
    def info(self) -> SourceInfo:
        return self._info

    @property
    def left_out(self) -> Mapping[str, int]:
        """Also the files of kinds that are not read, from the start."""
        return self._left_out.counts + self._others

    def frames(self, sampler: Sampler | None = None) -> Iterator[Frame]:
        if self._closed:
            message = f"{self._where}: the folder was closed; open it again to read from it"
            raise StreamError(message)
        return self._read(sampler)

    @property
    def pictures(self) -> Sequence[tuple[str, datetime]]:
        """Each picture's path in the folder, and the time of its frame."""
        started_at, names = self._info.started_at, self._listing.names
        moments = (started_at + timedelta(seconds=time_s) for time_s in self._times_s)
        return list(zip(names, moments, strict=True))

    def expected(self, interval_s: float) -> int | None:
        sampler = Sampler(interval_s)
        return sum(sampler.wants(time_s) for time_s in self._times_s)

    def close(self) -> None:
        """End running passes at their next frame; nothing is held open between images."""
        self._closed = True

    def _read(self, sampler: Sampler | None) -> Iterator[Frame]:
        left_out, given, seen = LeftOut(self._where), 0, set[bytes]()
        self._left_out = left_out
        for name, time_s in zip(self._listing.names, self._times_s, strict=True):
            if sampler is not None and not sampler.wants(time_s):
                continue
            try:
                image = self._image(name, seen)
            except PictureError as exc:
                left_out.note(str(exc), printable(name))
                continue
            given += 1
            wall_time = self._info.started_at + timedelta(seconds=time_s)
            yield Frame(image=image, time_s=time_s, wall_time=wall_time, camera=self._camera)
            if self._closed:
                return
        left_out.say(given)

    def _image(self, name: str, seen: set[bytes]) -> NDArray[np.uint8]:
        most = self._most_pixels
        data = read_bytes(self._listing.path(name), most_bytes=BYTES_A_PIXEL * most)
        if self.each_once:
            digest = hashlib.blake2b(data, digest_size=16).digest()
            if digest in seen:
                raise PictureError(SAME_FILE)
            seen.add(digest)
        return decode_picture(data, most_pixels=most)

    def _commonest_shape(self) -> tuple[int, int]:
        """Height and width of most images, by a few of them; at a tie the first's."""
        names = self._listing.names
        some = names[:: max(1, len(names) // LOOKED_AT)]
        shapes = Counter(s for name in some if (s := self._shape(name)) is not None)
        if not shapes:
            found = (s for name in names if (s := self._shape(name)) is not None)
            shapes.update(islice(found, 1))
        if shapes:
            return shapes.most_common(1)[0][0]
        message = (
            f"{self._where}: none of its {len(names)} images can be read (the first: "
            f"{self._first_reason}); they are not what their names say: copy them again"
        )
        raise SourceUnreadableError(message)

    def _shape(self, name: str) -> tuple[int, int] | None:
        try:
            image = read_picture(self._listing.path(name), most_pixels=self._most_pixels)
        except PictureError as exc:
            self._first_reason = self._first_reason or str(exc)
            return None
        return image.shape[0], image.shape[1]


class ImageFolder(PictureFolder):
    """The images of one folder (not of folders in it), played at `rate_fps`.

    Image n, counted in natural order from 0, is at n / `rate_fps` seconds. `started_at` is by
    default the first image's modification time.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        camera: str,
        rate_fps: float = 1.0,
        started_at: datetime | None = None,
        most_pixels: int = MOST_PIXELS,
    ) -> None:
        if not (math.isfinite(rate_fps) and rate_fps > 0):
            message = f"camera {camera!r}: rate_fps: got {rate_fps}, must be a finite number > 0"
            raise ValueError(message)
        listing = _listed(Path(path), camera, nested=False)
        started_at = started_at or _first_written(listing)
        info = SourceInfo(
            kind="folder",
            location=redact_url(str(path)),
            width_px=0,
            height_px=0,
            started_at=as_utc(started_at, camera=camera),
            rate_fps=rate_fps,
            duration_s=len(listing.names) / rate_fps,
            said=_of_numbered(listing),
        )
        times_s = [index / rate_fps for index in range(len(listing.names))]
        super().__init__(listing, times_s, info, camera, most=most_pixels)


class DatedFolder(PictureFolder):
    """The pictures of a folder, and of those in it, each at the time when it was taken.

    Of several of one moment one is given. `info` has the mean rate: there may be a picture every
    quarter of an hour, and none at night.
    """

    each_once = True

    def __init__(
        self,
        listing: Listing,
        dated: Dated,
        *,
        camera: str,
        options: PictureOptions,
        most_pixels: int = MOST_PIXELS,
    ) -> None:
        times_s = [at_s - dated.times_s[0] for at_s in dated.times_s]
        gaps_s = [b - a for a, b in pairwise(times_s)]
        usual_s = median(gaps_s) if gaps_s else 1.0
        duration_s = times_s[-1] + usual_s
        info = SourceInfo(
            kind="folder by time",
            location=redact_url(str(listing.folder)),
            width_px=0,
            height_px=0,
            started_at=datetime.fromtimestamp(dated.times_s[0], UTC),
            rate_fps=len(times_s) / duration_s,
            duration_s=duration_s,
            said=_of_dated(dated, options, usual_s if gaps_s else None),
        )
        pictures = Listing(listing.folder, dated.names, listing.others + dated.left_out)
        super().__init__(pictures, times_s, info, camera, most=most_pixels)


def open_folder(
    path: Path,
    *,
    camera: str,
    options: PictureOptions,
    most_pixels: int = MOST_PIXELS,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> FrameSource:
    """A dated or a numbered folder, as `options` say or as its names are."""
    found = _dated(path, camera, options, now())
    if found is None:
        return ImageFolder(path, camera=camera, most_pixels=most_pixels)
    return DatedFolder(*found, camera=camera, options=options, most_pixels=most_pixels)


def last_day(path: Path, *, camera: str, options: PictureOptions) -> date | None:
    """The day of the last picture that is taken; None where pictures are numbered. Raises a
    `StreamError` if there is nothing to read."""
    found = _dated(path, camera, options, datetime.now(UTC))
    return None if found is None else found[1].day_range(options.day_zone)[1]


def _dated(
    path: Path, camera: str, options: PictureOptions, moment: datetime
) -> tuple[Listing, Dated] | None:
    """What the folder has, and the pictures that are taken; None where they are numbered."""
    if options.time == "numbered":
        return None
    where = f"camera {camera!r}: {redact_url(str(path))}"
    listing = _listed(path, camera, nested=True)
    try:
        dated = date_pictures(listing, options, now_s=moment.timestamp())
    except PatternError as exc:
        message = f"{where}: {exc}"
        raise SourceUnreadableError(message) from exc
    if dated is None:
        _refuse_days(options, where)
        return None
    if not dated.names:
        message = (
            f"{where}: none of its {len(listing.names)} pictures has a time "
            f"({in_words(dated.left_out)}; the first is {printable(listing.names[0])}): set "
            "`pictures.time` or `pictures.pattern`"
        )
        raise SourceUnreadableError(message)
    today = moment.astimezone(options.day_zone).date()
    taken = dated.of_days(options.days, options.day_zone, today)
    if not taken.names:
        first, last = dated.day_range(options.day_zone)
        message = (
            f"{where}: no picture of {options.days}; there are some of {first} to {last}: change "
            "`pictures.days`"
        )
        raise SourceUnreadableError(message)
    return listing, taken


def _refuse_days(options: PictureOptions, where: str) -> None:
    if options.days.which == "all":
        return
    message = (
        f"{where}: `pictures.days` chooses days, but the names of these pictures hold no times: "
        "set `pictures.pattern`, or `pictures.time` to exif or file"
    )
    raise SourceUnreadableError(message)


def _listed(folder: Path, camera: str, *, nested: bool) -> Listing:
    where = f"camera {camera!r}: {redact_url(str(folder))}"
    listing = list_pictures(folder, where=where, nested=nested)
    others = in_words(listing.others)
    if not listing.names:
        others = f" ({others})" if others else ""
        message = f"{where}: no images in this folder{others}; allowed: {allowed_suffixes()}"
        raise SourceUnreadableError(message)
    if others:
        logger.warning("%s: left out: %s; convert them to JPEG", where, others)
    return listing


def _first_written(listing: Listing) -> datetime:
    """When the first picture was written; now, should it have gone meanwhile."""
    try:
        return datetime.fromtimestamp(listing.path(listing.names[0]).stat().st_mtime, UTC)
    except OSError:
        return datetime.now(UTC)


def _of_numbered(listing: Listing) -> tuple[str, ...]:
    said = "numbered: played in the order of their names, at one picture a second"
    if has_exif(listing, UTC):
        said += " (they have times in EXIF, too: `pictures.time: exif` goes by these)"
    return (said,)


def _of_dated(dated: Dated, options: PictureOptions, usual_s: float | None) -> tuple[str, ...]:
    first, last = dated.day_range(options.day_zone)
    days = f"{first}" if first == last else f"{first} to {last}"
    said = [
        f"times from {IN_WORDS[dated.by]} ({_zone_name(options.zone)})",
        f"{len(dated.names):,} pictures of {days}",
    ]
    if usual_s is not None:
        said.append(f"mostly one every {_length(usual_s)}")
    if dated.left_out:
        said.append(f"left out: {in_words(dated.left_out)}")
    return tuple(said)


def _zone_name(zone: tzinfo) -> str:
    return str(getattr(zone, "key", None) or zone)


def _length(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.3g} s"
    return f"{seconds / 60:.3g} min" if seconds < 7200 else f"{seconds / 3600:.3g} h"
