"""Which items belong together, from the distances between them: average linkage."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Cluster = tuple[int, ...]


def clusters(distances: NDArray[np.float64], *, below: float) -> list[Cluster]:
    """The N items (N×N symmetric distances) in clusters, each in the order of its items.

    The two clusters with the smallest mean distance between their items are joined, again and
    again, while that is smaller than `below` (average linkage, as in hierarchical clustering).
    An infinite distance keeps two items apart whatever the others say.
    """
    found: list[Cluster] = [(item,) for item in range(len(distances))]
    while len(found) > 1:
        pairs = [(a, b) for k, a in enumerate(found) for b in found[k + 1 :]]
        apart = [float(distances[np.ix_(a, b)].mean()) for a, b in pairs]
        nearest = int(np.argmin(apart))
        if not apart[nearest] < below:
            break
        a, b = pairs[nearest]
        found = [c for c in found if c not in (a, b)] + [tuple(sorted((*a, *b)))]
    return sorted(found)
