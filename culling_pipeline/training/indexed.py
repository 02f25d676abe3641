"""A data set that also says which sample it gives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch.utils.data import Dataset

    _Base = Dataset[tuple[int, Any]]
else:
    _Base = object  # a DataLoader needs no more, and torch is not loaded for the name


class Indexed(_Base):
    """`Indexed(dataset)[i]` is `(i, dataset[i])`: the item is as it was."""

    def __init__(self, dataset: Any) -> None:
        self.dataset = dataset

    def __getitem__(self, index: int) -> tuple[int, Any]:
        return index, self.dataset[index]

    def __len__(self) -> int:
        return len(self.dataset)
