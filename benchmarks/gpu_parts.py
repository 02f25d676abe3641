"""What benchmarks/gpu.py measures: its parts in their order, each a list of cells.

It imports only the standard library: what cannot be measured has its rows as well.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

LOOK, LABEL, TRAIN = "look", "label", "train"
LOOP, NIGHT, GRAPHS = "training as in a night", "demo night", "CUDA graphs"
EAGER, GRAPH = "eager", "CUDA graph"
COMPILED, COMPILED_GRAPH = "torch.compile", "torch.compile, reduce-overhead"
FLOAT32, BFLOAT16 = "float32", "bfloat16"
AS_IN_A_NIGHT = "float32, training bfloat16"
SIZES = ((360, 640), (720, 1280))
BATCHES = (8, 4, 1, 32, 16)
"""A night looks and trains at 8 and labels at 4: these come first."""


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One line of the table: what is done (`work`) by which net and how."""

    part: str
    work: str
    net: str
    height_px: int
    width_px: int
    dtype: str
    channels_last: bool
    batch: int
    way: str = EAGER


@dataclass(frozen=True)
class Part:
    """Cells that one process measures. Of the time that is left a part has its `share`, at most
    `cap_s` (what is not spent is for those after it)."""

    name: str
    cells: tuple[Cell, ...]
    share: float
    cap_s: float


NETS = {LOOK: "student", LABEL: "teacher", TRAIN: "student"}


def parts(*, tiny: bool) -> list[Part]:
    """All of them, what matters most first."""
    made = [Part(work, tuple(_grid(work, tiny)), 50, 65) for work in (LOOK, LABEL, TRAIN)]
    made.append(Part(LOOP, tuple(_loop(tiny)), 26, 40))
    made.append(Part(NIGHT, (_night(tiny),), 165, 175))
    made.append(Part(GRAPHS, tuple(_graphs(tiny)), 18, 30))
    for work, way, share in (
        (LOOK, COMPILED, 40),
        (LOOK, COMPILED_GRAPH, 20),  # most of it is in the compiler's cache by then
        (TRAIN, COMPILED, 26),
        (LABEL, COMPILED, 26),
    ):
        cell = _cell(work, tiny, part=f"{way}: {work}", way=way)
        made.append(Part(cell.part, (cell,), share, 80))
    if tiny:  # one process, for torch takes seconds to import; as long as it takes
        return [Part("all", tuple(cell for part in made for cell in part.cells), 1, math.inf)]
    return made


def _grid(work: str, tiny: bool) -> Iterator[Cell]:
    """Every size, precision, layout and batch."""
    sizes = ((96, 160),) if tiny else SIZES
    batches = (2,) if tiny else BATCHES
    for batch, size, dtype, last in product(batches, sizes, (FLOAT32, BFLOAT16), (False, True)):
        yield Cell(
            part=work,
            work=work,
            net=NETS[work],
            height_px=size[0],
            width_px=size[1],
            dtype=dtype,
            channels_last=last,
            batch=batch,
        )


def _cell(work: str, tiny: bool, *, part: str, way: str, batch: int = 8) -> Cell:
    height, width = (96, 160) if tiny else SIZES[0]
    return Cell(
        part=part,
        work=work,
        net=NETS[work],
        height_px=height,
        width_px=width,
        dtype=BFLOAT16,
        channels_last=True,
        batch=2 if tiny else batch,
        way=way,
    )


def _graphs(tiny: bool) -> Iterator[Cell]:
    """A graph saves the most where little is computed at a time."""
    for work, batch in product((LOOK, LABEL), (2,) if tiny else (1, 8)):
        yield _cell(work, tiny, part=GRAPHS, way=GRAPH, batch=batch)


def _loop(tiny: bool) -> Iterator[Cell]:
    """The program's own loop, which varies its pictures on the CPU."""
    for height, width in ((96, 160),) if tiny else SIZES:
        yield Cell(
            part=LOOP,
            work=TRAIN,
            net="student",
            height_px=height,
            width_px=width,
            dtype=BFLOAT16,
            channels_last=True,
            batch=8,
            way="culling_pipeline.training.loop",
        )


def _night(tiny: bool) -> Cell:
    return Cell(
        part=NIGHT,
        work="night",
        net="built-in student and teacher",
        height_px=96 if tiny else 192,
        width_px=160 if tiny else 320,
        dtype=AS_IN_A_NIGHT,
        channels_last=False,
        batch=8,
        way="culling demo",
    )
