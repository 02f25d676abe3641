"""What people would use instead of CLIP and Drop-and-Pick, written from the papers.

Rivals of `culling_pipeline.training`, for benchmarks only. `InfoBatch` is a course like the
program's own, so `Schedule(InfoBatch(…))` gives it to a loop; `SelectiveBackprop` decides within a
batch, after a forward pass. The other rivals need no class: random dropping (DaP's Table 2f) is
`DropAndPick` that observes random numbers, and a shortened training is `Standard` with fewer
epochs, whose learning rate ends as low.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.int64]
Losses = NDArray[np.float64]


class InfoBatch:
    """InfoBatch (Qin et al., "InfoBatch: lossless training speed up by unbiased dynamic data
    pruning", ICLR 2024, section 3).

    Samples whose last loss is below the mean of all are left out of an epoch with the chance
    `ratio` (r, Eq. 3); those of them that stay count 1 / (1 − r) times in the gradient, so that
    its expectation is that of all data (Eq. 5). From the share `whole_from` (δ) of the epochs on,
    nothing is left out. Before its first loss, a sample's score is 1, as all others'.
    """

    def __init__(
        self, samples: int, *, epochs: int, ratio: float = 0.5, whole_from: float = 0.875, seed: int
    ) -> None:
        self.samples, self.epochs, self.next_epoch = samples, epochs, 1
        self._ratio, self._whole_from, self._seed = ratio, whole_from, seed
        self._scores = np.ones(samples)

    def indices(self, epoch: int) -> Indices:
        below = self._below(epoch)
        chance = np.random.default_rng([self._seed, 51, epoch]).random(self.samples)
        return np.flatnonzero(~below | (chance >= self._ratio))

    def weights(self, epoch: int) -> NDArray[np.float64]:
        """How many times each sample's gradient counts: N floats."""
        return np.where(self._below(epoch), 1 / (1 - self._ratio), 1.0)

    def record(self, epoch: int, losses: Losses) -> None:
        now = self.indices(epoch)
        known = np.isfinite(losses)
        self._scores[now[known]] = losses[known]
        self.next_epoch = epoch + 1

    def sizes(self) -> Iterable[int]:
        """Not known before: the losses decide."""
        message = "InfoBatch: the number of samples depends on the losses"
        raise NotImplementedError(message)

    def state(self) -> dict[str, Any]:
        return {"next_epoch": self.next_epoch, "scores": self._scores.tolist()}

    def restore(self, state: dict[str, Any]) -> None:
        self.next_epoch = int(state["next_epoch"])
        self._scores = np.array(state["scores"], np.float64)

    def _below(self, epoch: int) -> NDArray[np.bool_]:
        """Whom this epoch may leave out."""
        if epoch > self._whole_from * self.epochs:
            return np.zeros(self.samples, np.bool_)
        below: NDArray[np.bool_] = self._scores < self._scores.mean()
        return below


class SelectiveBackprop:
    """Selective backprop (Jiang et al., "Accelerating deep learning by focusing on the biggest
    losers", 2019, section 3).

    After a forward pass, a sample is trained on with the chance CDF(loss)^β (Eq. 1), the CDF over
    the last `history` losses (R). Over many samples CDF(loss) is uniform, so a share 1 / (1 + β)
    is trained on: β = 1 / share − 1.
    """

    def __init__(self, share: float, *, seed: int, history: int = 1024) -> None:
        self._beta = 1 / share - 1
        self._rng = np.random.default_rng([seed, 52])
        self._history: deque[float] = deque(maxlen=history)

    def chosen(self, losses: NDArray[Any]) -> NDArray[np.bool_]:
        """Which of a batch are trained on."""
        self._history.extend(losses.tolist())
        seen = np.sort(np.array(self._history))
        rank = np.searchsorted(seen, losses, side="right") / len(seen)
        chosen: NDArray[np.bool_] = self._rng.random(len(losses)) < rank**self._beta
        return chosen
