"""Which cameras are proposed to share a student: clusters, trials, and who stays alone."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform

from culling_pipeline.groups.clusters import clusters
from culling_pipeline.groups.proposal import propose
from culling_pipeline.tasks.metric import Comparison


def distances(*rows: list[float]) -> np.ndarray:
    return np.array(rows, np.float64)


PAIRS = distances(
    [0.0, 0.1, 0.6, 0.7], [0.1, 0.0, 0.5, 0.6], [0.6, 0.5, 0.0, 0.2], [0.7, 0.6, 0.2, 0.0]
)


def trial_of(gain_of: dict[int, float], asked: list[tuple[int, ...]] | None = None):
    """Each camera's gain in any group, ± 2 points."""

    def together(cluster: tuple[int, ...]) -> list[Comparison]:
        if asked is not None:
            asked.append(cluster)
        return [
            Comparison(0.8, 0.8 + gain_of[c], gain_of[c], gain_of[c] - 0.02, gain_of[c] + 0.02)
            for c in cluster
        ]

    return together


def test_what_is_near_comes_together() -> None:
    assert clusters(PAIRS, below=0.3) == [(0, 1), (2, 3)]
    assert clusters(PAIRS, below=0.15) == [(0, 1), (2,), (3,)]
    assert clusters(PAIRS, below=0.05) == [(0,), (1,), (2,), (3,)]
    assert clusters(PAIRS, below=0.61) == [(0, 1, 2, 3)]
    assert clusters(np.zeros((1, 1)), below=1) == [(0,)]
    assert clusters(np.zeros((0, 0)), below=1) == []


@pytest.mark.parametrize("seed", range(20))
def test_clusters_are_those_of_scipy(seed: int) -> None:
    rng = np.random.default_rng(seed)
    table = rng.random((9, 9))
    table = (table + table.T) / 2
    np.fill_diagonal(table, 0)
    labels = fcluster(linkage(squareform(table), "average"), 0.42, "distance")
    expected = {tuple(np.flatnonzero(labels == label).tolist()) for label in set(labels)}
    assert set(clusters(table, below=0.42)) == expected


def test_what_cannot_share_is_never_in_one_cluster() -> None:
    apart = PAIRS.copy()
    apart[0, 3] = apart[3, 0] = np.inf
    found = clusters(apart, below=10.0)
    assert not any({0, 3} <= set(cluster) for cluster in found)


def test_groups_in_which_nobody_loses_more_than_averaging_does_are_proposed() -> None:
    found = propose(PAIRS, trial_of({0: 0.05, 1: -0.19, 2: 0.0, 3: 0.03}), near=0.3)
    assert [[line.camera for line in lines] for lines in found.groups] == [[0, 1], [2, 3]]
    assert found.groups[0][0].comparison.gain == 0.05
    assert found.alone == ()


def test_the_camera_that_loses_most_is_taken_out_and_the_rest_tried_again() -> None:
    asked: list[tuple[int, ...]] = []
    near = np.full((3, 3), 0.1) - 0.1 * np.eye(3)
    found = propose(near, trial_of({0: 0.02, 1: -0.3, 2: 0.01}, asked), near=0.3)
    assert asked == [(0, 1, 2), (0, 2)]
    assert [[line.camera for line in lines] for lines in found.groups] == [[0, 2]]
    (alone,) = found.alone
    assert (alone.camera, alone.tried is not None) == (1, True)
    assert alone.tried is not None
    assert alone.tried.comparison.gain == -0.3


def test_who_is_far_from_all_stays_alone_with_the_nearest_named() -> None:
    found = propose(PAIRS, trial_of(dict.fromkeys(range(4), 0.0)), near=0.15)
    assert [(a.camera, a.nearest, a.distance, a.tried) for a in found.alone] == [
        (2, 3, 0.2, None),
        (3, 2, 0.2, None),
    ]


def test_a_pair_of_which_one_loses_is_no_group() -> None:
    near = distances([0.0, 0.1], [0.1, 0.0])
    found = propose(near, trial_of({0: 0.04, 1: -0.3}), near=0.3)
    assert found.groups == ()
    assert [(a.camera, a.tried is not None) for a in found.alone] == [(0, False), (1, True)]
