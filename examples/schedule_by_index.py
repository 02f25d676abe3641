"""Drop-and-Pick over indices: which samples each epoch trains on, for a training loop of your own.

A schedule sees no image and no model. It gives indices, you give it their losses.
"""

import numpy as np

from culling_pipeline.training.schedule import build_schedule
from jobs.config.night import TrainingSettings

SAMPLES, EPOCHS = 1_000, 12


def main() -> None:
    """Train nothing, for twelve epochs: half of the samples get easy quickly."""
    settings = TrainingSettings(epochs=EPOCHS, warm_up=2, interval=2, keep=0.7, pick=(8,))
    options = settings.to_options()
    schedule = build_schedule("dap", samples=SAMPLES, epochs=EPOCHS, options=options)
    difficulty = np.random.default_rng(0).uniform(0.1, 2.0, SAMPLES)
    trained_on = 0
    for epoch in range(1, EPOCHS + 1):
        indices = schedule.indices(epoch)
        losses = difficulty[indices] / np.sqrt(epoch)  # here your loop trains on data[indices]
        schedule.record(epoch, losses)
        trained_on += len(indices)
        mean = difficulty[indices].mean()
        print(f"epoch {epoch:2}: {len(indices):5,} samples, mean difficulty {mean:.2f}")
    print(f"trained on {trained_on / (SAMPLES * EPOCHS):.0%} of what standard training sees")


if __name__ == "__main__":
    main()
