"""Write all that is made from the settings: config.yaml at the root and the same text for
`culling init`, the schema for editors beside each, and the tables in docs/reference/config.md.

Each setting stands in jobs/config/ once, with its range, unit, default and words. Run it after a
change there (`make config-docs`); tests/unit/test_config_docs.py fails where that was forgotten.
"""

from __future__ import annotations

import json
import re
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import yaml
from pydantic.fields import FieldInfo
from pydantic.json_schema import models_json_schema

from jobs.config.fields import Section, examples_of, texts_of
from jobs.config.settings import CAMERA_NAME, CameraConfig, CameraDefaults, Config

ROOT = Path(__file__).resolve().parents[1]
SCHEMA = "culling.schema.json"
DOCUMENT = "docs/reference/config.md"
WIDTH, COLUMN = 100, 30
"""Characters in a line of config.yaml, and where its comments start."""

HEAD = f"""\
# yaml-language-server: $schema={SCHEMA}
#
# culling-pipeline: every setting and its default; in brackets its unit and what is allowed.
#
# Only `cameras` is needed; leave out what is to keep its default. A camera can override anything
# under `defaults:` in its own section; the command line (--set) overrides both. Relative paths
# start at this file's folder. {DOCUMENT} says more about each key.
"""
CAMERAS = """\
cameras:
  street:                     # a name of a-z, 0-9, _ and -; it names folders
    # A video file, a folder of images, a camera's address, or the demo's synthetic street.
    # Keep passwords out of this file: ${NAME} is replaced by the environment variable NAME,
    # ${file:PATH} by the first line of a file.
    source: synthetic://street?seed=7&hours=1
    # What to find: a list of the detector's names, or name: [the detector's names for it].
    classes: [person, car, bicycle]
    # For a real camera: a teacher that knows the world (243 MB, downloaded at its first use).
    # teacher: {weights: pretrained:r101-mmdet-3x}
"""
NEEDED = ("cameras", "source", "classes")
"""Keys without a default."""
IN_THE_EXAMPLE = ("classes", "cameras")
"""Keys that `CAMERAS` shows."""


# -- what a type says ------------------------------------------------------------------------------


def section_of(hint: Any) -> type[Section] | None:
    """The section that a key holds; None for a value."""
    for kind in (hint, *get_args(hint)):
        if isinstance(kind, type) and issubclass(kind, Section):
            return kind
    return None


def constraints(field: FieldInfo) -> dict[str, float]:
    """The bounds of a key's numbers: gt, ge, lt, le."""
    found: dict[str, float] = {}

    def note(metadata: Any) -> None:
        for item in metadata:
            if isinstance(item, FieldInfo):
                note(item.metadata)
            for name in ("gt", "ge", "lt", "le"):
                if hasattr(item, name):
                    found[name] = getattr(item, name)

    def look(hint: Any) -> None:
        if get_origin(hint) is Annotated:
            note(hint.__metadata__)
        for part in get_args(hint):
            look(part)

    look(field.annotation)
    note(field.metadata)
    return found


def kinds_of(hint: Any) -> set[Any]:
    """The plain types that a value is made of."""
    if get_origin(hint) is Literal:
        return {Literal}
    if get_origin(hint) is Annotated:
        return kinds_of(get_args(hint)[0])
    parts = [part for part in get_args(hint) if part is not Ellipsis]
    return set().union(*map(kinds_of, parts)) if parts else {hint}


def is_number(field: FieldInfo) -> bool:
    """Whether the key holds numbers."""
    return bool(kinds_of(field.annotation) & {int, float})


def choices(hint: Any) -> tuple[str, ...]:
    """The words that are allowed."""
    if get_origin(hint) is Literal:
        return get_args(hint)
    return tuple(word for part in get_args(hint) for word in choices(part))


WORDS = {"gt": "above {:g}", "ge": "{:g} or more", "lt": "below {:g}", "le": "at most {:g}"}
SIGNS = {"gt": "> {:g}", "ge": "≥ {:g}", "lt": "< {:g}", "le": "≤ {:g}"}
"""A bound in the documents, and in config.yaml, where there is less room."""


def range_of(bounds: dict[str, float], style: dict[str, str]) -> str:
    """`{"gt": 0, "le": 1}` → "above 0, at most 1" or "> 0, ≤ 1"."""
    if "ge" in bounds and "le" in bounds:
        between = "…" if style is SIGNS else " to "
        return f"{bounds['ge']:g}{between}{bounds['le']:g}"
    return ", ".join(style[k].format(bounds[k]) for k in style if k in bounds)


def facts(section: type[Section], key: str, style: dict[str, str]) -> str:
    """Unit and range, and the choices; in config.yaml not those that its sentence explains."""
    field = section.model_fields[key]
    sentence, unit, _ = texts_of(section, key)
    words = choices(field.annotation)
    if style is SIGNS and all(f"{word}:" in sentence for word in words):
        words = ()
    if not is_number(field):
        return _listed(words)
    joint = " " if style is SIGNS else ", "
    allowed = joint.join(filter(None, (unit, range_of(constraints(field), style))))
    return " or ".join((*words, allowed)) if words else allowed


def _listed(words: tuple[str, ...]) -> str:
    return " or ".join(filter(None, (", ".join(words[:-1]), *words[-1:])))


# -- config.yaml -----------------------------------------------------------------------------------


def template() -> str:
    """The commented configuration that names every key."""
    said: dict[tuple[str, str], str] = {}
    machine = _lines(Config, 0, said, place="")
    defaults = _lines(CameraDefaults, 2, said, place="")
    head = _commented("defaults:", "for all cameras; each can have its own")
    return "\n".join((HEAD, *machine, "", CAMERAS, *head, *defaults, ""))


def _lines(
    section: type[Section], indent: int, said: dict[tuple[str, str], str], place: str
) -> Iterator[str]:
    for key, field in section.model_fields.items():
        if key in IN_THE_EXAMPLE:
            continue
        comment = comment_on(section, key, said, place)
        below = section_of(field.annotation)
        lead = " " * indent + f"{key}:"
        if below is None:
            yield from _commented(f"{lead} {in_yaml(field.default)}", comment)
        elif field.default is None:
            yield from _commented(f"{lead} null", f"{comment}:")
            yield from _example(below, key, indent)
        else:
            if indent == 2:
                yield ""
            yield from _commented(lead, comment)
            yield from _lines(below, indent + 2, said, place=key)


def comment_on(
    section: type[Section], key: str, said: dict[tuple[str, str], str], place: str
) -> str:
    """The sentence with its facts, or where the same was said before."""
    sentence, _, _ = texts_of(section, key)
    before = said.setdefault((key, sentence), place)
    if before != place:
        return f"as for the {before}"
    allowed = facts(section, key, SIGNS).replace(" ", _HOLDS)
    return f"{sentence} ({allowed})" if allowed else sentence


_HOLDS = "\xa0"
"""A space where no line ends: what stands in brackets stays together."""


def _example(section: type[Section], key: str, indent: int) -> Iterator[str]:
    """A section that is not there by default, as comments."""
    lead = " " * indent + "# "
    yield f"{lead}{key}:"
    for name, field in section.model_fields.items():
        shown = next(iter(examples_of(section, name)), field.default)
        comment = comment_on(section, name, {}, key)
        yield from _commented(f"{lead}  {name}: {in_yaml(shown)}", comment, column=38, lead=lead)


def _commented(text: str, comment: str, *, column: int = COLUMN, lead: str = "") -> Iterator[str]:
    """The line with its comment; what does not fit goes on below."""
    column = max(column, len(text) + 2)
    wrapped = textwrap.wrap(comment, WIDTH - column - 2, break_on_hyphens=False)
    for number, part in enumerate(wrapped):
        yield f"{lead if number else text:{column}}# {part.replace(_HOLDS, ' ')}"


def in_yaml(value: Any) -> str:
    """A default as it stands in config.yaml."""
    if isinstance(value, str | Path):
        text = str(value)
        plain = yaml.safe_load(text) == text and not re.fullmatch(r"[\d:]+", text)
        return text if plain else json.dumps(text)  # some parsers take 03:00 for a number
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(in_yaml, value))}]"
    return "null" if value is None else str(value).lower()


# -- docs/reference/config.md ----------------------------------------------------------------------

_BLOCK = re.compile(r"(<!-- settings: ([a-z_. ]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def document(text: str) -> str:
    """The document with its tables made anew; the prose between them is written by hand."""
    said: dict[tuple[str, str], str] = {}

    def block(found: re.Match[str]) -> str:
        rows = [row for place in found[2].split() for row in _table(place, said)]
        head = "| key | default | allowed | meaning |\n|---|---|---|---|\n"
        return f"{found[1]}\n{head}{''.join(rows)}\n{found[3]}"

    return _BLOCK.sub(block, text)


def _table(place: str, said: dict[tuple[str, str], str]) -> Iterator[str]:
    if place in _WHOLE:
        first = [key for key in NEEDED if key in _WHOLE[place].model_fields]
        rest = [key for key in _WHOLE[place].model_fields if key not in first]
        keys = (key for key in (*first, *rest) if key not in ("name", *_TABLES_OF_THEIR_OWN))
        yield from _rows(_WHOLE[place], list(keys))
        return
    section: type[Section] = Config if place in Config.model_fields else CameraConfig
    for key in place.split("."):
        section = section_of(section.model_fields[key].annotation) or section
    yield from _rows(section, list(section.model_fields), said=said, place=place)


_WHOLE: dict[str, type[Section]] = {"machine": Config, "camera": CameraConfig}
"""Tables of all keys but the sections that have a table of their own."""
_TABLES_OF_THEIR_OWN = (
    *(k for k, f in CameraConfig.model_fields.items() if section_of(f.annotation)),
    *("storage", "service"),
)


def _rows(
    section: type[Section],
    keys: list[str],
    *,
    said: dict[tuple[str, str], str] | None = None,
    place: str = "",
    prefix: str = "",
) -> Iterator[str]:
    for key in keys:
        field = section.model_fields[key]
        below = section_of(field.annotation)
        if below is not None and key != "cameras" and field.default is not None:
            yield from _rows(below, list(below.model_fields), prefix=f"{prefix}{key}.")
            continue
        sentence, _, more = texts_of(section, key)
        before = place if said is None else said.setdefault((key, sentence), place)
        meaning = in_markdown(sentence, choices(field.annotation)) + (f". {more}" if more else "")
        if before != place:
            meaning = f"as for the {before}"
        shown = "needed" if key in NEEDED else f"`{in_yaml(field.default)}`"
        yield f"| `{prefix}{key}` | {shown} | {allowed_in_markdown(section, key)} | {meaning} |\n"


def allowed_in_markdown(section: type[Section], key: str) -> str:
    """Unit and range, or choices, as code where they are words to be written down."""
    field = section.model_fields[key]
    words = choices(field.annotation)
    text = facts(section, key, WORDS) or _listed(words)
    for word in words:
        text = re.sub(rf"(?<![\w-]){re.escape(word)}(?![\w-])", f"`{word}`", text)
    kinds = kinds_of(field.annotation)
    if kinds == {bool}:
        return "`true` or `false`"
    if key in ("classes", "cameras", "groups"):
        return "list or mapping" if key == "classes" else "mapping"
    if section_of(field.annotation) is not None:
        return "section"
    text = text or ("any number" if is_number(field) else "text")
    is_list = tuple in map(get_origin, (field.annotation, *get_args(field.annotation)))
    return f"list: {text}" if is_list else text


def in_markdown(sentence: str, words: tuple[str, ...]) -> str:
    """The sentence with values as code and a capital letter."""
    for word in ("null", "true", "false", "auto", *words):
        sentence = re.sub(rf"(?<![\w`-]){word}:(?= )", f"`{word}`:", sentence)
    return re.sub(r"(\w+://[^\s,]+[^\s,;)]|\$\{[\w:]+\}|\[\[.*\]\])", r"`\1`", sentence)


# -- the schema ------------------------------------------------------------------------------------


def schema() -> str:
    """What an editor checks and explains a config.yaml by (JSON Schema, draft 7)."""
    models = [(Config, "validation"), (CameraDefaults, "validation")]
    _, made = models_json_schema(models, ref_template="#/$defs/{model}")  # type: ignore[arg-type]
    definitions = made["$defs"]
    for model in _sections():
        _explain(definitions[model.__name__], model)
    top = definitions.pop("Config")
    camera = definitions["CameraConfig"]
    del camera["properties"]["name"]
    camera["required"] = ["source"]
    top["properties"]["defaults"] = {
        "description": "for all cameras; each can have its own",
        "anyOf": [{"$ref": "#/$defs/CameraDefaults"}, {"type": "null"}],
    }
    names = {"pattern": f"^({CAMERA_NAME.pattern})$"}
    top["properties"]["cameras"] |= {"propertyNames": names, "minProperties": 1}
    whole = {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "culling-pipeline's config.yaml",
        **{k: v for k, v in top.items() if k not in ("title", "description")},
        "required": ["cameras"],
        "$defs": definitions,
    }
    return json.dumps(_draft_7(whole), indent=1, ensure_ascii=False) + "\n"


def _sections(start: type[Section] = Config) -> set[type[Section]]:
    """All sections, the machine's and the cameras'."""
    below = filter(None, (section_of(field.annotation) for field in start.model_fields.values()))
    return {start, CameraDefaults}.union(*map(_sections, below))


def _explain(made: dict[str, Any], section: type[Section]) -> None:
    """Put the words of each key into the section's part of the schema."""
    for key, entry in made["properties"].items():
        sentence, _, more = texts_of(section, key)
        allowed = facts(section, key, WORDS)
        text = f"{sentence} ({allowed})" if allowed else sentence
        plain = re.sub(r"\[([^\]]+)\]\((?!http)[^)]+\)", r"\1", more).replace("`", "")
        entry["description"] = f"{text}. {plain}" if plain else text
        for gone in ("unit", "more", "title", "examples"):
            entry.pop(gone, None)
        if isinstance(entry.get("default"), dict):
            del entry["default"]


def _draft_7(node: Any) -> Any:
    """Tuples as draft 7 has them, which all editors know; and bounds under their names there, which
    pydantic leaves out where something checks the value before."""
    if isinstance(node, list):
        return [_draft_7(item) for item in node]
    if not isinstance(node, dict):
        return node
    return {_NAMES.get(k, k): _draft_7(v) for k, v in node.items()}


_NAMES = {
    "prefixItems": "items",
    **{"gt": "exclusiveMinimum", "ge": "minimum", "lt": "exclusiveMaximum", "le": "maximum"},
}


# -- the files -------------------------------------------------------------------------------------


def made_files() -> dict[str, str]:
    """Every file that is made from the settings, as it is to be, by its path from the root."""
    text, editors = template(), schema()
    return {
        "config.yaml": text,
        "jobs/config/template.yaml": text,
        SCHEMA: editors,
        f"jobs/config/{SCHEMA}": editors,
        DOCUMENT: document((ROOT / DOCUMENT).read_text(encoding="utf-8")),
    }


def main() -> int:
    """Write what has changed, and say which files those are."""
    for name, text in made_files().items():
        path = ROOT / name
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            print(f"wrote {name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
