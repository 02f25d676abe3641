"""A configured camera's source: opened as its settings say."""

from __future__ import annotations

import socket
import threading

import pytest

from jobs.cameras.sources import open_camera
from jobs.config.live import LiveSettings
from jobs.config.settings import CameraConfig
from streams.base import StreamError

PAUSE_S = 2.0
"""The server's, before it says anything: more than the camera's time-out, less than the usual."""


def answer_late(server: socket.socket, given_up: threading.Event) -> None:
    """Say that there is no such video, unless the other side has given up by then."""
    connection, _ = server.accept()
    with connection:
        if not given_up.wait(PAUSE_S):
            connection.sendall(b"HTTP/1.0 404 Not Found\r\nContent-Length: 0\r\n\r\n")


def test_a_recording_on_the_web_goes_by_the_cameras_time_outs() -> None:
    given_up = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:
        answering = threading.Thread(target=answer_late, args=(server, given_up))
        answering.start()
        camera = CameraConfig(
            name="yard",
            source=f"http://127.0.0.1:{server.getsockname()[1]}/clip.mp4",
            classes={"person": ("person",)},
            live=LiveSettings(open_timeout_s=0.2),
        )
        with pytest.raises(StreamError, match="no answer within the time-out"):
            open_camera(camera)
        given_up.set()
        answering.join()
