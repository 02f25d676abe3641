"""Early: the learning rate falls, and training ends, when the training loss says so."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass
class Plateau:
    """Two phases. At the highest rate until the training loss of an epoch is no longer `better`
    than that of two epochs before; then at the lower rate for half as long again, as in a night,
    where the rate falls at two thirds. It goes by the training loss, so that nothing is measured
    with the frames that it stopped by."""

    least: int = 4
    better: float = 0.95
    _losses: list[float] = field(default_factory=list)
    _fell: int | None = None

    def share(self, drop: float) -> float:
        """The rate as a share of the highest."""
        return 1.0 if self._fell is None else drop

    def over(self, epoch: int, loss: float) -> bool:
        """Note an epoch's loss (from 1); whether it was the last."""
        self._losses.append(loss)
        if self._fell is None:
            before = self._losses[-3] if len(self._losses) >= 3 else float("inf")
            if epoch >= self.least and loss > self.better * before:
                self._fell = epoch
            return False
        return epoch >= round(1.5 * self._fell)
