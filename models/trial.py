"""Opens what others wrote in a process of its own first, with a deadline and a limit of memory.

A model file of a few hundred bytes can keep native code busy for ever, take all memory or crash it,
and no thread can stop that. So such a file is tried in another process, which may be killed. What
passes there is opened here, and not tried again while this process lives.
"""

from __future__ import annotations

import json
import os
import pickle
import re
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from models.errors import ModelError, WeightsError

GIB = 1024**3
BYTES_A_BYTE = 6
"""A model takes so many times its file's size while it is opened, beside what it calculates with.
"""
MEMORY_SHARE = 0.75
"""No file may take more than this of the machine's memory, however large it says it is."""
GRACE_S = 5
"""So long after its deadline the other process ends by itself, should nobody kill it."""
LONGEST_WORDS = 2_000

_CHILD = (
    "import pickle, sys; sys.path[:] = pickle.load(sys.stdin.buffer); "
    "from models.trial import answer; answer()"
)
_NO_MEMORY = re.compile(r"bad_?alloc|allocat|out of memory|not enough memory", re.IGNORECASE)

_passed: set[bytes] = set()


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a model file may take while it is opened: seconds, and memory beside a few times the
    file's own size."""

    deadline_s: float = 120.0
    memory_bytes: int = 4 * GIB


DEFAULT_LIMITS = Limits()


def try_first(
    action: Callable[..., object],
    *arguments: object,
    files: Sequence[Path],
    limits: Limits = DEFAULT_LIMITS,
) -> None:
    """Do `action(*arguments)` in another process. If it fails there, takes too long, too much
    memory or crashes, that raises `ModelError` here, in one line that names the first of `files`.

    What has passed is not tried again in this process, unless one of the files has changed.
    """
    asked = pickle.dumps((action, arguments))
    mark = pickle.dumps((asked, limits, [_state_of(file) for file in files]))
    if mark in _passed:
        return
    allowed = _allowed_bytes(files, limits)
    said = _ask(asked, (limits.deadline_s, allowed), files[0])
    if said.get("no_memory"):
        message = (
            f"{files[0]}: takes more than {allowed / GIB:.3g} GiB of memory to open: damaged, or "
            "made to take it; if it is right, raise load_limit_gb"
        )
        raise WeightsError(message)
    if "error" in said:
        raise (WeightsError if said.get("is_weights") else ModelError)(said["error"])
    _passed.add(mark)


def _state_of(file: Path) -> tuple[int, ...]:
    """What changes when a file is written; nothing of it is read, for it may have no end."""
    try:
        status = file.stat()
    except OSError:
        return ()
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def _allowed_bytes(files: Sequence[Path], limits: Limits) -> int:
    size = sum(state[2] for file in files if (state := _state_of(file)))
    whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return int(min(limits.memory_bytes + BYTES_A_BYTE * size, MEMORY_SHARE * whole))


def _ask(asked: bytes, limits: tuple[float, int], file: Path) -> dict[str, Any]:
    """What the other process answers."""
    deadline_s, allowed = limits
    try:
        ended = subprocess.run(
            [sys.executable, "-c", _CHILD],
            input=pickle.dumps(sys.path) + pickle.dumps(limits) + asked,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=deadline_s,
            check=False,
        )
        said = json.loads(ended.stdout)
    except subprocess.TimeoutExpired:
        message = (
            f"{file}: did not open within {deadline_s:g} s: damaged, or made to hold the program "
            "up; if this machine is only slow, raise load_limit_s"
        )
    except OSError as exc:
        message = f"{file}: cannot be tried, no process can be started ({exc.strerror})"
    except ValueError:
        message = (
            f"{file}: opening it ends the process ({_in_words(ended.returncode)}): damaged, or "
            f"made to crash its reader, or it takes more than {allowed / GIB:.3g} GiB of memory"
        )
    else:
        return dict(said)
    raise WeightsError(message)


def _in_words(code: int) -> str:
    with suppress(ValueError):
        return signal.Signals(-code).name
    return f"exit code {code}"


# --- in the other process ------------------------------------------------------------------------


def answer() -> NoReturn:
    """Do what stands on standard input, and write as JSON how it ended. What native code prints
    goes nowhere, and nothing of it is waited for at the end."""
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    limits = pickle.load(sys.stdin.buffer)
    try:
        action, arguments = pickle.load(sys.stdin.buffer)  # imports all that is needed
        _limit(*limits)
        action(*arguments)
        said: dict[str, object] = {}
    except ModelError as exc:
        is_weights = isinstance(exc, WeightsError)
        said = {"error": str(exc)[:LONGEST_WORDS], "is_weights": is_weights}
        said["no_memory"] = _lacked_memory(exc)
    except Exception as exc:  # the boundary: the parent says it
        said = {"error": f"{type(exc).__name__}: {exc}"[:LONGEST_WORDS]}
        said["no_memory"] = _lacked_memory(exc)
    with out:
        out.write(json.dumps(said).encode())
    os._exit(0)


def _limit(deadline_s: float, allowed: int) -> None:
    """Limit this process, from now on.

    Memory by RLIMIT_DATA, not by RLIMIT_AS: torch and OpenVINO reserve far more addresses than they
    ever use. The kernel refuses the request itself, before a page of it is touched; nobody has to
    watch. Where it does not hold (macOS), the deadline still does.
    """
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(round(deadline_s) + GRACE_S)
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with suppress(OSError, ValueError):
        most, hard = _data_bytes() + allowed, resource.getrlimit(resource.RLIMIT_DATA)[1]
        if hard != resource.RLIM_INFINITY:
            most = min(most, hard)
        resource.setrlimit(resource.RLIMIT_DATA, (most, hard))


def _data_bytes() -> int:
    """What counts against RLIMIT_DATA already."""
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
            if line.startswith("VmData:"):
                return int(line.split()[1]) * 1024
    return 0


def _lacked_memory(exc: BaseException | None) -> bool:
    """Whether a lack of memory is behind it; native code has its own words for it."""
    while exc is not None:
        if isinstance(exc, MemoryError) or _NO_MEMORY.search(str(exc)):
            return True
        exc = exc.__cause__ or exc.__context__
    return False
