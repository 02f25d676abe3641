"""From an address to a source: what kind of thing it names, and a clear no to the rest."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from streams.address import Address
from streams.base import (
    ConnectionFailedError,
    FrameSource,
    SourceNotFoundError,
    SourceUrlError,
    StreamError,
    redact_url,
)
from streams.live.connection import Connection
from streams.live.device import connect_device
from streams.live.hls import Progress, find_playlist, web_options
from streams.live.http import connect_site, connect_web, resolve_page
from streams.live.options import LiveOptions
from streams.live.packets import Recipe, open_container
from streams.live.rtsp import connect_rtsp
from streams.live.source import LiveSource
from streams.pictures import MOST_PIXELS
from streams.recorded.file import VideoFile
from streams.recorded.folder import last_day, open_folder
from streams.recorded.picture_times import PictureOptions
from streams.recorded.ranges import Place, WebFile
from streams.recorded.recordings.source import SCHEME as RECORDINGS
from streams.recorded.recordings.source import Recordings
from streams.recorded.remote import RemoteVideo
from streams.synthetic.source import SyntheticCamera
from streams.web import Answer, is_web, sniff

ALLOWED = (
    "rtsp://…, http(s)://… (video, HLS, MJPEG, a snapshot or a page such as YouTube's), device:0, "
    "a video file, a folder of images, file:///path, recordings:/path for a recorder's folder or "
    "synthetic://street?seed=7"
)

_SCHEME = re.compile(r"^([A-Za-z][A-Za-z0-9+.-]*)://")
_YOUTUBE = re.compile(r"^(https?://)?((www|m)\.)?(youtube\.com|youtu\.be)/", re.IGNORECASE)
_WEB = re.compile(r"^https?://", re.IGNORECASE)
_LIVE = re.compile(r"^(?i:rtsps?://|device:)|^/dev/video\d+$")
_DEVICE = re.compile(r"^device:(\d{1,3})$", re.IGNORECASE)
_DEVICE_FILE = re.compile(r"^/dev/video\d+$")


def open_source(
    url: str,
    *,
    camera: str,
    live: LiveOptions | None = None,
    recorded: LiveOptions | None = None,
    most_pixels: int | None = None,
    pictures: PictureOptions | None = None,
) -> FrameSource:
    """Open what `url` names; raises a `StreamError` that says what is wrong and what to do.

    Live sources, which never end, are opened only for those who expect one and say how (`live`).
    Others say how a recording on the web is read (`recorded`: time-outs, size); files, folders and
    synthetic cameras need neither. `pictures` says how a folder's pictures are dated. No picture of
    more than `most_pixels` (by default those of these options) is decoded, whatever the source.
    """
    options = live or recorded
    usual = MOST_PIXELS if options is None else options.most_pixels
    most_pixels = most_pixels or usual
    if not any(kind.match(url) for kind in (_YOUTUBE, _WEB, _LIVE)):
        return _open_local(url, camera, most_pixels, pictures or PictureOptions())
    if _LIVE.match(url) and live is None:
        raise _unexpected(url, camera)
    if _WEB.match(url) and not is_web(Address(url)):
        message = f"camera {camera!r}: {redact_url(url)}: not a whole address: check the host"
        raise SourceUrlError(message)
    if options is None:
        message = (
            f"camera {camera!r}: {redact_url(url)}: a source on the web is read with time-outs; "
            "give them (`recorded`)"
        )
        raise SourceUrlError(message)
    source = _open_remote(url, camera, replace(options, most_pixels=most_pixels))
    if isinstance(source, LiveSource) and live is None:
        source.close()
        raise _unexpected(url, camera)
    return source


def last_day_of(url: str, *, camera: str, pictures: PictureOptions) -> date | None:
    """The day of the last picture, if `url` names a folder of pictures with times. None for all
    else, also for a folder that cannot be read: who opens it is told why."""
    found = _SCHEME.match(url)
    scheme = found.group(1).lower() if found else ""
    if scheme not in ("", "file") or any(kind.match(url) for kind in (_YOUTUBE, _LIVE)):
        return None
    try:
        path = _path_of_file_url(url, camera) if scheme else _path_of(url, camera)
        return last_day(path, camera=camera, options=pictures) if os.path.isdir(path) else None
    except StreamError:
        return None


def is_youtube(url: str) -> bool:
    """Whether it is one of YouTube's pages, for which yt-dlp wants a JavaScript runtime."""
    return _YOUTUBE.match(url) is not None


def _open_remote(url: str, camera: str, options: LiveOptions) -> FrameSource:
    if _YOUTUBE.match(url):
        address = Address(url if _SCHEME.match(url) else f"https://{url}")
        return _open_site(address, camera, options)
    if _WEB.match(url):
        return _open_web(Address(url), camera, options)
    if url.lower().startswith(("rtsp://", "rtsps://")):
        return _live(Address(url), camera, options, connect_rtsp)
    return _open_device(url, camera, options)


def path_of_recordings(url: str, *, camera: str) -> Path | None:
    """The recorder's folder that an address names; None for addresses of other kinds."""
    if not url.startswith(RECORDINGS):
        return None
    text = url[len(RECORDINGS) :]
    if not text.strip():
        message = f"camera {camera!r}: {url}: give the recorder's folder, as in recordings:/path"
        raise SourceUrlError(message)
    return _path_of(text, camera)


def _open_local(url: str, camera: str, most_pixels: int, pictures: PictureOptions) -> FrameSource:
    recorder = path_of_recordings(url, camera=camera)
    if recorder is not None:
        return Recordings(recorder, camera=camera, most_pixels=most_pixels)
    found = _SCHEME.match(url)
    scheme = found.group(1).lower() if found else ""
    if scheme == "synthetic":
        return SyntheticCamera.from_url(url, camera=camera)
    if scheme not in ("", "file"):
        message = (
            f"camera {camera!r}: {redact_url(url)}: addresses of the kind {scheme}:// are not "
            f"known; give {ALLOWED}"
        )
        raise SourceUrlError(message)
    path = _path_of_file_url(url, camera) if scheme == "file" else _path_of(url, camera)
    if os.path.isdir(path):  # unlike Path.is_dir, False for whatever cannot be looked at
        return open_folder(path, camera=camera, options=pictures, most_pixels=most_pixels)
    return VideoFile(path, camera=camera, most_pixels=most_pixels)


def _unexpected(url: str, camera: str) -> SourceUrlError:
    return SourceUrlError(
        f"camera {camera!r}: {redact_url(url)}: live cameras never end, and what was asked for "
        "needs an end; give a recording: a video file, a folder of images or a video on the web"
    )


def _live(
    address: Address, camera: str, options: LiveOptions, connect: Callable[..., Connection]
) -> LiveSource:
    where = _where(address, camera)
    return LiveSource(
        partial(connect, address, where=where, options=options),
        camera=camera,
        location=address.shown,
        options=options,
    )


def _open_web(address: Address, camera: str, options: LiveOptions) -> FrameSource:
    """Recorded or live, as the server says; while it is silent and may be, it is taken as live."""
    where = _where(address, camera)
    try:
        answer = sniff(address, where=where, timeout_s=options.open_timeout_s)
        recorded, segment_s = _is_recorded(address, answer, where, options)
    except ConnectionFailedError:
        if options.must_answer:
            raise
        return _live(address, camera, options, partial(connect_web, progress=Progress()))
    if answer.kind == "page":
        return _open_site(address, camera, options)
    if not recorded:
        return _live(address, camera, options, partial(connect_web, progress=Progress()))
    kind = "hls recording" if answer.kind == "hls" else "web video"
    web = _web_file(lambda anew: Place(address, {}), where, options)
    open_media = partial(_open_media, address, where, options, is_playlist=answer.kind == "hls")
    return RemoteVideo(
        open_media,
        camera=camera,
        location=address.shown,
        kind=kind,
        written_at=answer.modified_at,
        most_pixels=options.most_pixels,
        web=None if answer.kind == "hls" else web,
        segment_s=segment_s,
    )


def _is_recorded(
    address: Address, answer: Answer, where: str, options: LiveOptions
) -> tuple[bool, float]:
    """Whether it is, and how long the longest segment of a playlist is."""
    if answer.kind == "hls":
        segments = find_playlist(address, where=where, options=options).segments
        return not segments.is_live, segments.target_s
    return answer.kind == "video" and answer.recorded, 0.0


def _open_site(page: Address, camera: str, options: LiveOptions) -> FrameSource:
    """A page's video, recorded or live."""
    where = _where(page, camera)
    try:
        found = resolve_page(page, where=where, options=options)
        answer = sniff(
            found.address, where=where, timeout_s=options.open_timeout_s, headers=found.headers
        )
        recorded, segment_s = _is_recorded(found.address, answer, where, options)
    except ConnectionFailedError:
        if options.must_answer:
            raise
        return _live(page, camera, options, partial(connect_site, progress=Progress()))
    if not recorded:
        return _live(page, camera, options, partial(connect_site, progress=Progress()))

    def open_media() -> Any:
        again = resolve_page(page, where=where, options=options)
        return _open_media(
            again.address, where, options, is_playlist=again.is_playlist, headers=again.headers
        )

    def find(anew: bool) -> Place:
        nonlocal found
        if anew:
            found = resolve_page(page, where=where, options=options)
        return Place(found.address, found.headers)

    return RemoteVideo(
        open_media,
        camera=camera,
        location=page.shown,
        kind="site recording",
        written_at=answer.modified_at,
        most_pixels=options.most_pixels,
        segment_s=segment_s,
        web=None if found.is_playlist else _web_file(find, where, options),
    )


def _web_file(find: Callable[[bool], Place], where: str, options: LiveOptions) -> WebFile:
    return WebFile(
        find=find,
        where=where,
        timeout_s=options.open_timeout_s,
        read_timeout_s=options.read_timeout_s,
    )


def _open_media(
    address: Address,
    where: str,
    options: LiveOptions,
    *,
    is_playlist: bool,
    headers: Mapping[str, str] | None = None,
) -> Any:
    if is_playlist:
        found = find_playlist(address, where=where, options=options, headers=headers)
        address = found.address
    recipe = Recipe(
        kind="web video",
        address=address,
        where=where,
        open_timeout_s=options.open_timeout_s,
        read_timeout_s=options.read_timeout_s,
        most_pixels=options.most_pixels,
        format_name="hls" if is_playlist else None,
        options=web_options(headers),
    )
    return open_container(recipe)


def _open_device(url: str, camera: str, options: LiveOptions) -> LiveSource:
    numbered = _DEVICE.match(url)
    if numbered is None and not _DEVICE_FILE.match(url):
        message = f"camera {camera!r}: {url}: a device is named device:0 or /dev/video0"
        raise SourceUrlError(message)
    device = int(numbered.group(1)) if numbered else url
    connect = partial(connect_device, device, where=f"camera {camera!r}: {url}")
    return LiveSource(connect, camera=camera, location=url, options=options)


def _where(address: Address, camera: str) -> str:
    return f"camera {camera!r}: {address.shown}"


def _path_of_file_url(url: str, camera: str) -> Path:
    parts = urlsplit(url)
    if parts.netloc not in ("", "localhost") or not parts.path:
        message = (
            f"camera {camera!r}: {url}: a file address needs a whole path after three slashes, "
            "for example file:///data/clip.mp4"
        )
        raise SourceUrlError(message)
    return Path(unquote(parts.path))


def _path_of(text: str, camera: str) -> Path:
    if not text.strip():
        message = f"camera {camera!r}: the url is empty; give {ALLOWED}"
        raise SourceUrlError(message)
    try:
        return Path(text).expanduser()
    except RuntimeError as exc:
        message = f"camera {camera!r}: {text}: no such user's home folder; write the whole path"
        raise SourceNotFoundError(message) from exc
