"""The pages at their port: for this machine's user by a token, for others by a password."""

from __future__ import annotations

from jobs.config.settings import Config
from jobs.errors import ConfigError
from jobs.pages.app import make_app
from jobs.pages.door import Door
from jobs.pages.house import House
from jobs.pages.port import Port
from jobs.pages.port_token import port_token


class Pages:
    """`/TOKEN/` lists the cameras, `/metrics` is for Prometheus.

    Where only this machine can come, the token is in the path, and there is no cookie: a browser
    sends those of one port to every other port of the machine, also to another user's.
    """

    def __init__(self, house: House) -> None:
        settings = house.config.service
        token = port_token(house.config.data_dir)
        by_token = settings.password_hash is None
        door = Door(house, make_app(), token, by_token=by_token)
        self._port = _open_port(house.config, door)
        self.start, self.close = self._port.start, self._port.close
        self.visits = self._port.visits
        host = f"[{settings.address}]" if ":" in settings.address else settings.address
        scheme = "https" if settings.certificate is not None else "http"
        self.root = f"{scheme}://{host}:{self._port.port}/"
        self.address = f"{self.root}{token}/" if by_token else settings.proxy or self.root


def _open_port(config: Config, door: Door) -> Port:
    settings, port = config.service, config.service.port or 0
    certificate = None
    if settings.certificate is not None:
        certificate = (settings.certificate, settings.certificate_key)
    try:
        return Port(door, (settings.address, port), certificate=certificate)
    except OSError as error:
        what = f"service.port: {port} cannot be had ({error.strerror}): "
        why = "another program has it; give another one, or null"
        if not settings.is_loopback:
            why += f"; or this machine has no address {settings.address} (service.address)"
        raise ConfigError(what + why) from error
