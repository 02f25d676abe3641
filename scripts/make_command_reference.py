"""Write docs/reference/commands.md: every command with its arguments and options, from the code.

Run it (`make docs`) after a command or a help text has changed; tests/unit/test_made_docs.py fails
if it was forgotten.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import typer

from jobs.cli import app

ROOT = Path(__file__).resolve().parents[1]
DOCUMENT = ROOT / "docs" / "reference" / "commands.md"
HEAD = """\
<!-- Made by scripts/make_command_reference.py from the commands themselves, not by hand. -->

# Commands

`culling COMMAND --help` shows the same. All commands but `init`, `demo`, `pretrain`, `density …`
and `schedule show` read `config.yaml` in the working directory or the file that `--config` names,
and take `--set KEY=VALUE` for single keys, such as `--set culling.keep=128`. `--debug` may stand
anywhere and shows tracebacks. [Exit codes](exit-codes.md) and [JSON](json.md) have their own
pages.
"""
COMMON = ("--config", "--set", "--json", "--help")
"""Options that have one meaning everywhere and no line of their own."""


def command_reference() -> str:
    """The whole page."""
    root: Any = typer.main.get_command(app)
    sections = [HEAD]
    for name, command in _commands(root, ""):
        sections.append("\n".join(_section(name, command)))
    return "\n".join(sections)


def _commands(group: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _commands(command, f"{prefix}{name} ")
        else:
            yield f"{prefix}{name}", command


def _section(name: str, command: Any) -> Iterator[str]:
    arguments = [p for p in command.params if not p.opts[0].startswith("-")]
    options = [p for p in command.params if p.opts[0].startswith("-")]
    words = [_argument(p) for p in arguments] + [_word(p) for p in options if p.required]
    yield f"## culling {name}"
    yield ""
    yield inspect.cleandoc(command.help)
    yield ""
    yield "```"
    yield " ".join(["culling", name, *words, "[OPTIONS]"])
    yield "```"
    yield ""
    rows = [*arguments, *(p for p in options if p.opts[0] not in COMMON)]
    if rows:
        yield "| | | default |"
        yield "|---|---|---|"
        yield from (_row(p) for p in rows)
        yield ""
    common = [f"`{o}`" for o in COMMON[:3] if any(o in p.opts for p in options)]
    if common:
        yield f"Common options: {', '.join(common)}."
        yield ""


def _argument(param: Any) -> str:
    shown = param.metavar or param.name.upper()
    return shown if param.required or shown.startswith("[") else f"[{shown}]"


def _word(param: Any) -> str:
    """An option with its value, as it is written."""
    value = "" if getattr(param, "is_flag", False) else f" {_value(param)}"
    return "/".join([*param.opts, *param.secondary_opts]) + value


def _value(param: Any) -> str:
    if param.metavar:
        return str(param.metavar)
    hint = param.type_descriptor.annotation
    if get_origin(hint) is Literal:
        return "|".join(str(choice) for choice in get_args(hint))
    return {int: "N", float: "X", Path: "PATH", list[int]: "N"}.get(hint, "TEXT")


def _row(param: Any) -> str:
    is_argument = not param.opts[0].startswith("-")
    name = _argument(param) if is_argument else _word(param)
    if not param.help:
        message = f"{name}: no help text"
        raise ValueError(message)
    return f"| `{name.replace('|', chr(92) + '|')}` | {param.help} | {_default(param)} |"


def _default(param: Any) -> str:
    if param.required:
        return "needed"
    if param.default in (None, [], ()) or (param.default is False):
        return ""
    return "" if param.show_default is False else f"`{_flat(param)}`"


def _flat(param: Any) -> str:
    if getattr(param, "is_flag", False):
        return str(param.opts[0] if param.default else param.secondary_opts[0])
    return re.sub(r"\s+", " ", str(param.default))


def main() -> None:
    """Write the page where it has changed."""
    new = command_reference()
    if not DOCUMENT.exists() or DOCUMENT.read_text(encoding="utf-8") != new:
        DOCUMENT.write_text(new, encoding="utf-8")


if __name__ == "__main__":
    main()
