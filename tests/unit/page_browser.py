"""A browser without scripts for the tests of the pages: real requests to a real port."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from http.client import HTTPConnection
from urllib.parse import urlencode, urljoin


@dataclass(frozen=True)
class Answer:
    """What a page answered."""

    status: int
    content: bytes

    @property
    def text(self) -> str:
        return self.content.decode()


class PageBrowser:
    """Keeps a cookie, and goes on to where a page sends it."""

    def __init__(self, address: str) -> None:
        self._address, self._cookie = address, ""

    def get(self, path: str) -> Answer:
        return self._ask("GET", path)

    def post(self, path: str, form: dict[str, str]) -> Answer:
        kind = "application/x-www-form-urlencoded"
        return self._ask("POST", path, urlencode(form).encode(), kind)

    def send(self, path: str, form: dict[str, str], file: tuple[str, bytes]) -> Answer:
        """A form with one file, as its field `file`."""
        edge = secrets.token_hex(16)
        parts = [
            f'--{edge}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{text}\r\n'.encode()
            for name, text in form.items()
        ]
        head = f'--{edge}\r\nContent-Disposition: form-data; name="file"; filename="{file[0]}"\r\n'
        parts += [head.encode(), b"Content-Type: image/jpeg\r\n\r\n", file[1], b"\r\n"]
        body = b"".join(parts) + f"--{edge}--\r\n".encode()
        return self._ask("POST", path, body, f"multipart/form-data; boundary={edge}")

    def _ask(self, method: str, path: str, body: bytes | None = None, kind: str = "") -> Answer:
        address = urljoin(self._address, path)
        scheme, _, rest = address.partition("://")
        host, _, below = rest.partition("/")
        assert scheme == "http"
        connection = HTTPConnection(host, timeout=60)
        headers = {"Accept": "text/html", "Cookie": self._cookie}
        if body is not None:
            headers["Content-Type"] = kind
        connection.request(method, f"/{below}", body=body, headers=headers)
        answer = connection.getresponse()
        content, onward = answer.read(), answer.getheader("Location")
        if (cookie := answer.getheader("Set-Cookie")) is not None:
            self._cookie = cookie.split(";")[0]
        connection.close()
        if answer.status == 303 and onward is not None:
            return self._ask("GET", urljoin(address, onward))
        return Answer(answer.status, content)
