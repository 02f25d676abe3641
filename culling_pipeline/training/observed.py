"""The losses that a training loop has seen, in this epoch and before, in one process or several."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


class Observed:
    """Each sample's losses: their sum and number in this epoch, and the last that is known.

    With several processes, each has seen its `own` share of the epoch; `before` is what all had
    seen when the state was saved that this run goes on from.
    """

    def __init__(self, samples: int) -> None:
        self._samples = samples
        self._known = np.full(samples, np.nan)
        self.next_epoch()

    def next_epoch(self) -> None:
        """Forget which samples this epoch has seen, but not their losses."""
        self._before = np.zeros((3, self._samples))  # times seen, finite losses, their sum
        self._own = np.zeros((3, self._samples))

    @property
    def before(self) -> NDArray[np.bool_]:
        """Seen in this epoch before the state that this run goes on from."""
        seen: NDArray[np.bool_] = self._before[0] > 0
        return seen

    @property
    def own(self) -> NDArray[np.bool_]:
        """Seen in this epoch by this process since."""
        seen: NDArray[np.bool_] = self._own[0] > 0
        return seen

    @property
    def any(self) -> bool:
        """Whether anything of this epoch is seen."""
        return bool(self.before.any() or self.own.any())

    def add(self, members: NDArray[np.bool_], indices: NDArray[Any], losses: NDArray[Any]) -> None:
        """Note losses of some of this epoch's samples (`members`: N flags)."""
        if not len(indices):
            return
        _check(indices, losses, members)
        finite = np.isfinite(losses)
        values = np.where(finite, losses, 0.0).astype(np.float64)
        for row, amount in enumerate((np.ones(len(indices)), finite.astype(np.float64), values)):
            np.add.at(self._own[row], indices, amount)

    def losses(self, ranks: int) -> Floats:
        """Each sample's mean loss in this epoch, of all ranks; where there is none, the last that
        is known, or else NaN. The end of an epoch: they become the last that is known."""
        _, number, total = self._of_all(ranks)
        self._known = np.where(number > 0, total / np.maximum(number, 1), self._known)
        return self._known.copy()

    def state(self, ranks: int) -> dict[str, Any]:
        """As JSON values, exactly; the same in all ranks."""
        parts = {"known": self._known, "epoch": self._of_all(ranks)}
        return {name: _packed(part) for name, part in parts.items()}

    def restore(self, state: dict[str, Any]) -> None:
        self.next_epoch()
        self._known = _unpacked(state["known"]).reshape(self._samples)
        self._before = _unpacked(state["epoch"]).reshape(3, self._samples)

    def _of_all(self, ranks: int) -> Floats:
        return self._before + (self._own if ranks == 1 else _sum_over_ranks(self._own, ranks))


def as_array(values: ArrayLike) -> NDArray[Any]:
    """As NumPy; a tensor of any device and precision is brought here."""
    if hasattr(values, "detach"):
        here: Any = values.detach().cpu()
        return np.asarray(here.double() if here.is_floating_point() else here)
    return np.asarray(values)


def _check(indices: NDArray[Any], losses: NDArray[Any], members: NDArray[np.bool_]) -> None:
    samples = len(members)
    if indices.ndim != 1 or losses.shape != indices.shape:
        message = (
            f"observe: got {indices.shape} indices and {losses.shape} losses, must be one loss "
            'for each sample of the batch (a loss function with reduction="none")'
        )
        raise ValueError(message)
    if not np.issubdtype(indices.dtype, np.integer):
        message = f"observe: indices must be whole numbers, got {indices.dtype}"
        raise ValueError(message)
    beyond = indices[(indices < 0) | (indices >= samples)]
    if len(beyond):
        message = (
            f"observe: got index {int(beyond[0])}, the schedule was made for {samples} samples: "
            "make a new schedule when the data set changes"
        )
        raise ValueError(message)
    strange = indices[~members[indices]]
    if len(strange):
        message = (
            f"observe: sample {int(strange[0])} is not among the {int(members.sum())} of this "
            "epoch: pass the indices that the sampler gave"
        )
        raise ValueError(message)


def _sum_over_ranks(own: Floats, ranks: int) -> Floats:
    """The sum of all processes' arrays, on the device that their group can send from."""
    import torch
    import torch.distributed as dist

    running = dist.get_world_size() if dist.is_initialized() else 1
    if running != ranks:
        message = (
            f"shard: got {ranks} ranks, but torch.distributed has {running}: call "
            "init_process_group first, and shard with its own number"
        )
        raise ValueError(message)
    device = "cuda" if dist.get_backend() == "nccl" else "cpu"
    total = torch.from_numpy(own.copy()).to(device)
    dist.all_reduce(total)
    return np.asarray(total.cpu())


def _packed(array: Floats) -> str:
    return base64.b64encode(array.tobytes()).decode("ascii")


def _unpacked(text: str) -> Floats:
    return np.frombuffer(base64.b64decode(text), np.float64).copy()
