"""Drop-and-Pick over indices: which samples each epoch trains on, for a training loop of your own.

A schedule sees no image and no model. It gives indices, you give it their losses.
"""

import numpy as np

from culling_pipeline.training import DropAndPick

SAMPLES, EPOCHS = 1_000, 12


def main() -> None:
    """Train nothing, for twelve epochs: half of the samples get easy quickly."""
    schedule = DropAndPick(SAMPLES, epochs=EPOCHS, warm_up=2, interval=2, keep=0.7, pick=[8])
    sampler = schedule.sampler()  # a DataLoader takes it as it is
    difficulty = np.random.default_rng(0).uniform(0.1, 2.0, SAMPLES)
    trained_on = 0
    for epoch in schedule:
        indices = list(sampler)
        losses = difficulty[indices] / np.sqrt(epoch)  # here your loop trains on data[indices]
        schedule.observe(indices, losses)
        trained_on += len(indices)
        mean = difficulty[indices].mean()
        print(f"epoch {epoch:2}: {len(indices):5,} samples, mean difficulty {mean:.2f}")
    print(f"trained on {trained_on / (SAMPLES * EPOCHS):.0%} of what standard training sees")


if __name__ == "__main__":
    main()
