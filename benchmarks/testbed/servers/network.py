"""A network of its own for a camera: a namespace and a cable that can be pulled or lose packets.

Needs root, `ip` (iproute2) and, to lose packets, `nft` (nftables); works on this machine's kernel
only, so nothing outside of the namespace is touched but the near end of the cable.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from contextlib import suppress

INSTALL = "install the Debian packages that .ci/run names"
LOSS = """
table netdev cable {{
    chain out {{
        type filter hook egress device "{device}" priority 0; policy accept;
        meta l4proto udp numgen random mod 100 < {percent} counter drop
    }}
}}
"""


class CameraNetwork:
    """The camera's end is `camera_ip`; run its server behind `prefix`."""

    def __init__(self) -> None:
        self._name = f"cam{os.getpid()}"
        # 198.18.0.0/15 is set aside for tests of networks; a net of four addresses for each process
        number = os.getpid() % (1 << 14)
        base = f"198.18.{number >> 6}.{(number & 63) * 4}"
        near, far = (f"{base.rpartition('.')[0]}.{(number & 63) * 4 + end}" for end in (1, 2))
        self.camera_ip = far
        self.prefix = ["ip", "netns", "exec", self._name]
        self._near_end, self._far_end = f"{self._name}a", f"{self._name}b"
        _run("ip", "netns", "add", self._name)
        try:
            self._plug_in(f"{near}/30", f"{far}/30")
        except OSError:
            self.remove()
            raise

    def cut(self) -> None:
        """The cable is pulled out at the camera."""
        _run("ip", "-n", self._name, "link", "set", self._far_end, "down")

    def mend(self) -> None:
        _run("ip", "-n", self._name, "link", "set", self._far_end, "up")

    def lose(self, percent: int) -> None:
        """From now on so many of a hundred UDP packets that the camera sends get lost.

        By nftables and not by `tc netem`, which small kernels leave out; behind the network stack,
        so that the sender is not told.
        """
        rules = LOSS.format(device=self._far_end, percent=percent)
        _run(*self.prefix, "nft", "-f", "-", given=rules)

    def lost_packets(self) -> int:
        listed = _run(*self.prefix, "nft", "list", "table", "netdev", "cable").split()
        return int(listed[listed.index("packets") + 1])

    def lose_none(self) -> None:
        _run(*self.prefix, "nft", "delete", "table", "netdev", "cable")

    def remove(self) -> None:
        """Servers in it must have ended. The cable goes first: with the namespace it goes later."""
        with suppress(OSError):
            _run("ip", "link", "delete", self._near_end)
        _run("ip", "netns", "delete", self._name)

    def _plug_in(self, near: str, far: str) -> None:
        far_end = ["peer", "name", self._far_end, "netns", self._name]
        _run("ip", "link", "add", self._near_end, "type", "veth", *far_end)
        _run("ip", "address", "add", near, "dev", self._near_end)
        _run("ip", "link", "set", self._near_end, "up")
        _run("ip", "-n", self._name, "address", "add", far, "dev", self._far_end)
        _run("ip", "-n", self._name, "link", "set", self._far_end, "up")


def missing_tools() -> str | None:
    """What has to be installed first; None if everything is there."""
    absent = [tool for tool in ("ip", "nft") if shutil.which(tool) is None]
    return f"no {' and no '.join(absent)} here: {INSTALL}" if absent else None


def unable() -> str | None:
    """Why no network can be made here even with the tools; None if it can."""
    if os.geteuid() != 0:
        return "only root may make network namespaces"
    try:
        network = CameraNetwork()
    except OSError as exc:
        return f"no network namespaces here: {exc}"
    try:
        network.lose(30)
    except OSError as exc:
        return f"no packets can be lost here: {exc}"
    finally:
        network.remove()
    return None


def _run(*command: str, given: str = "") -> str:
    done = subprocess.run(command, input=given, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        message = f"{' '.join(command)}: {done.stderr.strip()}"
        raise OSError(message)
    return done.stdout
