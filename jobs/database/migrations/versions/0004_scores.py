"""Scores: what a night is judged by has a metric, of which mAP50 is one."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_NIGHTS = sa.table("nights", sa.column("id"), sa.column("figures", sa.JSON))
_RECORDS = sa.table("records", sa.column("night_id"), sa.column("record", sa.LargeBinary))
_STAGES = sa.table("stages", sa.column("night_id"), sa.column("name"), sa.column("result", sa.JSON))


def upgrade() -> None:
    """The figures of lists, the records of done nights, and the verdicts of half-finished ones."""
    _figures()
    _records()
    _verdicts()


def _figures() -> None:
    for night_id, figures in _rows(_NIGHTS.c.id, _NIGHTS.c.figures):
        if figures is not None and "map50_before" in figures:
            named = {k.replace("map50_", "score_"): v for k, v in figures.items()}
            op.get_bind().execute(
                sa.update(_NIGHTS)
                .where(_NIGHTS.c.id == night_id)
                .values(figures={**named, "metric": "mAP50"})
            )


def _records() -> None:
    for night_id, packed in _rows(_RECORDS.c.night_id, _RECORDS.c.record):
        record = json.loads(zlib.decompress(packed))
        if _judged(record.get("judge")):
            op.get_bind().execute(
                sa.update(_RECORDS)
                .where(_RECORDS.c.night_id == night_id)
                .values(record=zlib.compress(json.dumps(record).encode()))
            )


def _verdicts() -> None:
    for night_id, result in _rows(
        _STAGES.c.night_id, _STAGES.c.result, where=_STAGES.c.name == "judge"
    ):
        if _judged(result):
            op.get_bind().execute(
                sa.update(_STAGES)
                .where(_STAGES.c.night_id == night_id, _STAGES.c.name == "judge")
                .values(result=result)
            )


def _rows(
    key: sa.ColumnElement[Any],
    value: sa.ColumnElement[Any],
    *,
    where: sa.ColumnElement[bool] | None = None,
) -> Iterator[tuple[int, Any]]:
    """One value at a time: a year of records does not fit into memory."""
    query = sa.select(key).order_by(key)
    if where is not None:
        query = query.where(where)
    for number in op.get_bind().execute(query).scalars().all():
        one = sa.select(value).where(key == number)
        yield number, op.get_bind().execute(one if where is None else one.where(where)).scalar_one()


def _judged(verdict: dict[str, Any] | None) -> bool:
    """Change a verdict's accuracies in place; whether there was something to change."""
    changed = False
    for arm in ("before", "after", "random"):
        accuracy = (verdict or {}).get(arm)
        if isinstance(accuracy, dict) and "map50" in accuracy:
            score, tight = accuracy.pop("map50"), accuracy.pop("map", None)
            accuracy["score"] = {"metric": "mAP50", "value": score}
            accuracy["further"] = [] if tight is None else [{"metric": "mAP", "value": tight}]
            changed = True
    return changed


def downgrade() -> None:
    """There is no way back beyond the revision before."""
    message = "a database of this release cannot be made one of the release before"
    raise NotImplementedError(message)
