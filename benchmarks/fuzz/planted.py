"""Addresses with a secret planted in them: in every place and by every name that cameras, recorders
and web services use, well written, badly written and nested."""

from __future__ import annotations

import base64
import random
import string
import uuid
from dataclasses import dataclass
from urllib.parse import quote

NAMES = (
    *("access_token", "api_key", "apikey", "api-key", "apiKey", "auth", "auth_token", "sid", "jwt"),
    *("X-Amz-Signature", "X-Amz-Credential", "X-Amz-Security-Token", "X-Goog-Signature", "sig"),
    *("signature", "Key-Pair-Id", "Policy", "hdnts", "__token__", "wmsAuthSign", "key", "token"),
    *("stream_key", "streamKey", "tkn", "secret", "client_secret", "id_token", "refresh_token"),
    *("session", "session_id", "PHPSESSID", "pass", "passwd", "password", "pwd", "pw", "psw"),
    *("loginpas", "userPassword", "md5", "hash", "digest", "code", "pin", "otp", "credential"),
    *("authorization", "bearer", "ticket", "sas", "psk", "TOKEN", "Password", "SessionToken"),
    *("p%61ssword", "auth%5Btoken%5D", "access%255Ftoken", "pass%77ord", "st", "ak", "sk"),
)
SCHEMES = ("rtsp", "rtsps", "http", "https", "RTSP", "Http")
HOSTS = (
    *("127.0.0.1:1", "127.0.0.1:1", "cam.invalid", "[::1]:1", "192.0.2.7:554", "nvr.local:8080"),
    *("kamera-höf.example", "h", "127.0.0.1:99999", "127.0.0.1:", "xn--bcher-kva.example"),
)
PATHS = (
    *("", "/", "/live", "/h264Preview_01_main", "/Streaming/Channels/101", "/a/b.cgi"),
    *("/cam/realmonitor", "/index.m3u8", "/video.mjpg", "/snap.jpg", "//x//", "/a%20b", "/ä"),
)
CONSONANTS = "bcdfghjkmnpqrtvwxz"


@dataclass(frozen=True, slots=True)
class Planted:
    """`address` has `secret` in it, as it stands there; `around` is the address without it."""

    address: str
    secret: str
    around: str


def planted(seed: int) -> Planted:
    """One address; the same for the same seed."""
    rng = random.Random(seed)
    place, style = rng.choice(PLACES)
    while True:
        secret = drawn(rng, style)
        frame = place(rng)
        around = frame.replace("\ue000", "\n")
        parts = {secret[i : i + 4] for i in range(len(secret) - 3)}
        if not any(part in around for part in parts):
            break
    return Planted(frame.replace("\ue000", secret), secret, around)


# -- secrets ---------------------------------------------------------------------------------------


def drawn(rng: random.Random, style: str) -> str:
    """A secret: `password` as people choose them or devices make them, percent-encoded where it has
    to be; `typed` the same as people type it; `token` as machines draw them."""
    if style == "token":
        return rng.choice((_base62, _hexes, _uuid, _jwt))(rng)
    word = "".join(rng.choice(CONSONANTS) for _ in range(rng.randint(6, 12)))
    mixed = _base62(rng)[: rng.randint(6, 14)]
    marked = mixed[:4] + rng.choice("!$*-._~+") + mixed[4:]
    typed = rng.choice((word, mixed, marked, word.capitalize() + "7!"))
    if style == "typed":
        return typed
    odd = mixed[:5] + rng.choice("@/?#:%&=; ") + mixed[5:]
    return rng.choice((typed, quote(odd, safe=""), quote(quote(odd, safe=""), safe="")))


def _base62(rng: random.Random) -> str:
    """With a digit and letters in every four, so that no word is like it."""
    kinds = (string.digits, string.ascii_lowercase, string.ascii_uppercase)
    return "".join(rng.choice(kinds[i % 3]) for i in range(rng.randint(18, 40)))


def _hexes(rng: random.Random) -> str:
    text = rng.randbytes(rng.randint(8, 24)).hex()
    return rng.choice((text, text.upper()))


def _uuid(rng: random.Random) -> str:
    return str(uuid.UUID(bytes=rng.randbytes(16)))


def _jwt(rng: random.Random) -> str:
    parts = (rng.randbytes(rng.randint(18, 40)) for _ in range(3))
    return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts)


# -- places ----------------------------------------------------------------------------------------

S = "\ue000"
"""Where the secret goes."""


def _base(rng: random.Random) -> str:
    return f"{rng.choice(SCHEMES)}://{rng.choice(HOSTS)}"


def _path(rng: random.Random) -> str:
    return rng.choice(PATHS)


def _more(rng: random.Random, joint: str = "&") -> str:
    return rng.choice(("", "", f"{joint}y=2", f"{joint}channel=1{joint}subtype=0", "#t=10"))


def _login(rng: random.Random) -> str:
    user = rng.choice(("admin", "viewer", "", "me%40example.org", "ü"))
    scheme = rng.choice(SCHEMES)
    return f"{scheme}://{user}:{S}@{rng.choice(HOSTS)}{_path(rng)}{rng.choice(('', '?x=1'))}"


def _whole_login(rng: random.Random) -> str:
    return f"{rng.choice(SCHEMES)}://{S}@{rng.choice(HOSTS)}{_path(rng)}"


def _query(rng: random.Random) -> str:
    before = rng.choice(("?", "?a=1&", "?a=1;", "?&&", "?x=http://127.0.0.1:1/&"))
    return f"{_base(rng)}{_path(rng)}{before}{rng.choice(NAMES)}={S}{_more(rng)}"


def _matrix(rng: random.Random) -> str:
    return f"{_base(rng)}{_path(rng)};{rng.choice(NAMES)}={S}{_more(rng, ';')}"


def _fragment(rng: random.Random) -> str:
    return f"{_base(rng)}{_path(rng)}#{rng.choice(('', 'a=1&'))}{rng.choice(NAMES)}={S}"


def _recorder(rng: random.Random) -> str:
    joint = rng.choice("_&")
    name = rng.choice(("password", "pass", "pwd", "psw"))
    return (
        f"{_base(rng)}/user=admin{joint}{name}={S}{joint}channel=1{joint}stream=0.sdp?real_stream"
    )


def _login_in_path(rng: random.Random) -> str:
    return f"{_base(rng)}/admin:{S}/{rng.choice(('live', 'ch1', '1'))}"


def _named_part(rng: random.Random) -> str:
    return f"{_base(rng)}/{rng.choice(('token', 'auth', 'key', 'session', 'Token'))}/{S}/live.m3u8"


def _token_in_path(rng: random.Random) -> str:
    return f"{_base(rng)}/{rng.choice(('', 'live/', 'proxy/'))}{S}{rng.choice(('', '/a.m3u8'))}"


def _unnamed(rng: random.Random) -> str:
    return f"{_base(rng)}{_path(rng)}?{rng.choice(('x=', 'id=', '', 'a=1&v='))}{S}{_more(rng)}"


def _nested(rng: random.Random) -> str:
    inner = f"rtsp://admin:{S}@127.0.0.1:1/1"
    inner = quote(inner, safe=S) if rng.random() < 0.7 else inner
    return f"http://127.0.0.1:1/a?{rng.choice(('url', 'src', 'u'))}={inner}{_more(rng)}"


def _variable(rng: random.Random) -> str:
    """Beside a variable that is there already, half written or wrong."""
    login = rng.choice((f"${{CAM_USER}}:{S}", f"admin:${{{S}!}}", f"admin:${{{S}", f"a${{X}}:{S}"))
    return f"rtsp://{login}@127.0.0.1:1/{rng.choice(('', 'live?token=${TOKEN}'))}"


def _broken(rng: random.Random) -> str:
    """Written as nobody should: one slash, blanks, quotation marks, no end to a bracket."""
    user = rng.choice(("admin", "me"))
    return rng.choice(
        (
            f"//{user}:{S}@127.0.0.1:1/live",
            f"://{user}:{S}@127.0.0.1:1/live",
            f"{user}:{S}@127.0.0.1:1/live",
            f"rtsp:/{user}:{S}@127.0.0.1:1/live",
            f"rtsp:{user}:{S}@127.0.0.1:1/live",
            f"rtsp:\\\\{user}:{S}@127.0.0.1\\live",
            f"rtsp//{user}:{S}@127.0.0.1:1/live",
            f" rtsp://{user}:{S}@127.0.0.1:1/live",
            f"rtsp://{user}:{S}@127.0.0.1:1/live ",
            f"'rtsp://{user}:{S}@127.0.0.1:1/live'",
            f"<rtsp://{user}:{S}@127.0.0.1:1/live>",
            f"rtsp://{user}:{S}@[::1/live",
            f"rtsp://{user}:{S}@",
            f"rtsp://{user}:{S}@:554/",
            f"rtsp://{user}:{S}@127.0.0.1:port/",
            f"url=rtsp://{user}:{S}@127.0.0.1:1/",
            f"rtsp://{user}:{S}@127.0.0.1:1/a\tb",
            f"rtsp://{user}:{S}@127.0.0.1:1/{'x' * 3000}",
            f"rtsp:///{user}:{S}@127.0.0.1:1/",
            f"ftp://{user}:{S}@127.0.0.1:1/",
            f"rtmp://127.0.0.1:1/live/?psk={S}",
            f"https://www.youtube.com/watch?v=dQw4w9WgXcQ&access_token={S}",
            f"youtube.com/watch?v=dQw4w9WgXcQ&access_token={S}",
        )
    )


PLACES = (
    *((_login, "password"),) * 3,
    (_login, "token"),
    (_whole_login, "token"),
    *((_query, "password"), (_query, "token")) * 2,
    *((_matrix, "password"), (_fragment, "password"), (_recorder, "typed")),
    *((_login_in_path, "typed"), (_named_part, "typed"), (_token_in_path, "token")),
    *((_unnamed, "token"), (_nested, "typed"), (_variable, "typed")),
    *((_broken, "typed"), (_broken, "token")),
)
