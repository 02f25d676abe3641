"""Wrong, odd and hostile inputs by the thousand: no other exception than ours, no secret in a
message, no input that takes longer than ten seconds, little memory.

    python -m benchmarks.fuzz configs --count 20000

`configs`: configurations mutated in their structure, scalars or bytes, each by a seed that finds it
again (`--first`). Results: a row for each kind of input in benchmarks/results/fuzz.json.
"""

from __future__ import annotations

import argparse
import json
import resource
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from benchmarks.testbed.mutated_configs import SECRET, mutated
from jobs.config.load import load_config
from jobs.errors import ConfigError, describe

RESULTS = Path(__file__).parent / "results"
LONGEST_S = 10
PART = 4
"""Characters of a secret; so many of them in a message are a leak."""


@dataclass
class Found:
    """What went wrong, and with which seeds."""

    count: int = 0
    refused: int = 0
    other_exceptions: int = 0
    leaks: int = 0
    hangs: int = 0
    peak_mib: int = 0
    examples: list[str] = field(default_factory=list)
    classes: Counter[str] = field(default_factory=Counter)


class Hang(BaseException):
    """An input took longer than `LONGEST_S`."""


def fuzz_configs(count: int, *, first: int = 0) -> Found:
    """Load `count` mutated configurations."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "config.yaml"

        def load(seed: int) -> None:
            path.write_bytes(mutated(seed))
            load_config(path)

        return _tried(load, range(first, first + count))


def _tried(load: Callable[[int], None], seeds: range) -> Found:
    found, before = Found(), _peak_mib()
    previous = signal.signal(signal.SIGALRM, _give_up)
    for seed in seeds:
        found.count += 1
        signal.alarm(LONGEST_S)
        try:
            load(seed)
        except ConfigError as error:
            found.refused += 1
            found.other_exceptions += not str(error)
            _look_for_secrets(describe(error), seed, found)
        except Hang:
            found.hangs += 1
            found.examples.append(f"{seed}: hangs")
        except Exception as error:  # that is what is looked for
            found.other_exceptions += 1
            found.classes[type(error).__name__] += 1
            found.examples.append(f"{seed}: {type(error).__name__}")
        finally:
            signal.alarm(0)
    signal.signal(signal.SIGALRM, previous)
    found.peak_mib = _peak_mib() - before
    return found


def _look_for_secrets(said: str, seed: int, found: Found) -> None:
    if any(SECRET[i : i + PART] in said for i in range(len(SECRET) - PART + 1)):
        found.leaks += 1
        found.examples.append(f"{seed}: leak")


def _give_up(*_: object) -> None:
    raise Hang


def _peak_mib() -> int:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak // (1024**2 if sys.platform == "darwin" else 1024)


KINDS = {"configs": fuzz_configs}


def _write(kind: str, found: Found) -> None:
    path = RESULTS / "fuzz.json"
    rows = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    rows[kind] = asdict(found) | {"examples": found.examples[:50]}
    path.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


def main() -> int:
    """Fuzz one kind of input; 1 if anything was found."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--first", type=int, default=0, help="the first seed")
    given = parser.parse_args()
    found = KINDS[given.kind](given.count, first=given.first)
    _write(given.kind, found)
    print(json.dumps(asdict(found) | {"examples": found.examples[:50]}, indent=1))
    return int(bool(found.other_exceptions or found.leaks or found.hangs))


if __name__ == "__main__":
    sys.exit(main())
