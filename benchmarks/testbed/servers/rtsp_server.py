#!/usr/bin/python3
"""An RTSP server for the tests: GStreamer's, from Debian's packages.

Runs under /usr/bin/python3, which has `gi`. Loops an Annex-B H.264 file with access unit
delimiters and no B-frames, as often as it takes. Prints `ready` once it listens.
"""

import argparse
import itertools
import re

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstRtsp", "1.0")
gi.require_version("GstRtspServer", "1.0")
from gi.repository import GLib, Gst, GstRtsp, GstRtspServer  # noqa: E402

DELIMITER = re.compile(rb"\x00\x00\x00\x01\x09")
ROLE = "viewer"
PIPELINE = (
    "appsrc name=source is-live=true format=time caps=video/x-h264,stream-format=byte-stream,"
    "alignment=au,framerate={rate}/1 ! h264parse config-interval=-1 ! rtph264pay name=pay0 pt=96"
)


def access_units(data):
    starts = [found.start() for found in DELIMITER.finditer(data)]
    return [data[a:b] for a, b in itertools.pairwise([*starts, len(data)])]


class Camera(GstRtspServer.RTSPMediaFactory):
    def __init__(self, units, rate_fps):
        super().__init__()
        self.set_shared(True)
        self.units, self.rate_fps = units, rate_fps

    def do_create_element(self, url):
        return Gst.parse_launch(PIPELINE.format(rate=self.rate_fps))

    def do_configure(self, media):
        media.set_reusable(True)
        numbers = itertools.count()
        media.get_element().get_child_by_name("source").connect("need-data", self.push, numbers)

    def push(self, source, length, numbers):
        number = next(numbers)
        buffer = Gst.Buffer.new_wrapped(self.units[number % len(self.units)])
        buffer.duration = Gst.SECOND // self.rate_fps
        buffer.pts = buffer.dts = number * buffer.duration
        source.emit("push-buffer", buffer)


def protect(server, camera, options):
    auth = GstRtspServer.RTSPAuth()
    token = GstRtspServer.RTSPToken()
    token.set_string(GstRtspServer.RTSP_TOKEN_MEDIA_FACTORY_ROLE, ROLE)
    if options.auth == "basic":
        basic = GstRtspServer.RTSPAuth.make_basic(options.user, options.password)
        auth.add_basic(basic, token)
        auth.set_supported_methods(GstRtsp.RTSPAuthMethod.BASIC)
    else:
        auth.add_digest(options.user, options.password, token)
        auth.set_supported_methods(GstRtsp.RTSPAuthMethod.DIGEST)
    server.set_auth(auth)
    permissions = GstRtspServer.RTSPPermissions()
    for right in (
        GstRtspServer.RTSP_PERM_MEDIA_FACTORY_ACCESS,
        GstRtspServer.RTSP_PERM_MEDIA_FACTORY_CONSTRUCT,
    ):
        permissions.add_permission_for_role(ROLE, right, True)
    camera.set_permissions(permissions)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--file", required=True)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", required=True)
    parser.add_argument("--rate-fps", type=int, default=25)
    parser.add_argument("--path", default="/cam")
    parser.add_argument("--user")
    parser.add_argument("--password")
    parser.add_argument("--auth", choices=["digest", "basic"], default="digest")
    options = parser.parse_args()
    Gst.init(None)
    server = GstRtspServer.RTSPServer()
    server.set_address(options.host)
    server.set_service(options.port)
    with open(options.file, "rb") as file:
        camera = Camera(access_units(file.read()), options.rate_fps)
    if options.user:
        protect(server, camera, options)
    server.get_mount_points().add_factory(options.path, camera)
    if server.attach(None) == 0:
        parser.error(f"--port: {options.port} is taken, give another")
    print("ready", flush=True)
    GLib.MainLoop().run()


main()
