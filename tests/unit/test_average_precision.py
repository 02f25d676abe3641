"""COCO figures worked by hand, and the bootstrap against COCO's own."""

from __future__ import annotations

import time

import numpy as np
import pytest

from culling_pipeline.records.scores import Accuracy, Score
from culling_pipeline.tasks.boxes.average_precision import coco_map, paired_bootstrap
from models.boxes.detections import Detections

A, B, C, FAR = [0, 0, 10, 10], [20, 0, 30, 10], [40, 0, 50, 10], [80, 80, 90, 90]
NOTHING = Detections.empty()


def found(*rows: tuple[list[int], float, int]) -> Detections:
    """Detections from (box, score, label) rows."""
    return Detections(
        np.array([r[0] for r in rows], np.float32).reshape(-1, 4),
        np.array([r[1] for r in rows], np.float32),
        np.array([r[2] for r in rows], np.int64),
    )


def scene(seed: int, n_frames: int, n_boxes: int = 8) -> tuple[list[Detections], list[Detections]]:
    """Truths, and predictions that are partly right, with many more wrong ones of low score."""
    rng = np.random.default_rng(seed)
    truths, predictions = [], []
    for _ in range(n_frames):
        n = int(rng.integers(0, n_boxes + 1))
        low = rng.uniform(0, 300, (n, 2))
        boxes = np.concatenate([low, low + rng.uniform(20, 60, (n, 2))], axis=1)
        labels = rng.integers(0, 3, n)
        truths.append(Detections(boxes.astype(np.float32), np.ones(n, np.float32), labels))
        moved = boxes + np.clip(rng.normal(0, 3, boxes.shape), -8, 8)
        extra_low = rng.uniform(0, 300, (3 * n_boxes, 2))
        extra = np.concatenate([extra_low, extra_low + 20], axis=1)
        scores = np.concatenate([rng.uniform(0.1, 1, n), rng.uniform(0, 0.7, len(extra))])
        predictions.append(
            Detections(
                np.concatenate([moved, extra]).astype(np.float32),
                scores.astype(np.float32),
                np.concatenate([labels, rng.integers(0, 3, len(extra))]),
            )
        )
    return predictions, truths


# ------------------------------------------------------------------ coco_map


def test_perfect_is_one(capsys: pytest.CaptureFixture[str]) -> None:
    truths = [found((A, 1.0, 0), (B, 1.0, 1)), found((C, 1.0, 1)), NOTHING]
    accuracy = coco_map(truths, truths, ["car", "person", "bike"])
    assert accuracy.score.value == pytest.approx(1.0)
    assert accuracy.further[0].value == pytest.approx(1.0)
    assert accuracy.per_class == {
        "car": pytest.approx(1.0),
        "person": pytest.approx(1.0),
        "bike": None,
    }
    assert (accuracy.frames, accuracy.objects) == (3, 3)
    assert capsys.readouterr().out == ""


def test_average_precision_worked_by_hand() -> None:
    # Two true boxes; best first: right (recall 1/2, precision 1), wrong, right (1, 2/3).
    # Precision is 1 at the recalls 0…0.50 (51 of them) and 2/3 at 0.51…1 (50): (51 + 50·2/3)/101.
    truths = [found((A, 1.0, 0)), found((B, 1.0, 0))]
    predictions = [found((A, 0.9, 0), (FAR, 0.8, 0)), found((B, 0.7, 0))]
    expected = (51 + 50 * 2 / 3) / 101
    assert coco_map(predictions, truths, ["car"]).score.value == pytest.approx(expected)


def test_the_mean_over_ious_worked_by_hand() -> None:
    # [0,0,10,7.2] on A overlaps by 0.72: right at 0.5, 0.55, 0.6, 0.65 and 0.7, five of ten.
    box = np.array([[0, 0, 10, 7.2]], np.float32)
    prediction = Detections(box, np.ones(1, np.float32), np.zeros(1, np.int64))
    accuracy = coco_map([prediction], [found((A, 1.0, 0))], ["car"])
    assert accuracy.score.value == pytest.approx(1.0)
    assert accuracy.further[0].value == pytest.approx(0.5)


def test_empty_predictions_are_zero() -> None:
    accuracy = coco_map([NOTHING, NOTHING], [found((A, 1.0, 1)), NOTHING], ["car", "person"])
    assert (accuracy.score.value, accuracy.further[0].value) == (0.0, 0.0)
    assert accuracy.per_class == {"car": None, "person": 0.0}


@pytest.mark.parametrize("frames", [[], [NOTHING], [found((A, 0.9, 0))]])
def test_without_truth_nothing_is_measured(frames: list[Detections]) -> None:
    accuracy = coco_map(frames, [NOTHING] * len(frames), ["car"])
    assert (accuracy.score.value, accuracy.objects, accuracy.frames) == (0.0, 0, len(frames))
    assert accuracy.per_class == {"car": None}


def test_a_class_without_truth_is_left_out_of_the_mean() -> None:
    accuracy = coco_map([found((A, 0.9, 0), (B, 0.9, 1))], [found((A, 1.0, 0))], ["car", "person"])
    assert accuracy.score.value == pytest.approx(1.0)


def test_a_frame_counts_the_same_alone_and_in_a_batch() -> None:
    predictions, truths = scene(4, 1)
    alone = coco_map(predictions, truths, ["a", "b", "c"])
    empty = coco_map([*predictions, NOTHING], [*truths, NOTHING], ["a", "b", "c"])
    assert empty.score.value == pytest.approx(alone.score.value)
    assert empty.per_class == pytest.approx(alone.per_class)


def test_the_order_of_frames_does_not_matter() -> None:
    predictions, truths = scene(5, 12)
    order = np.random.default_rng(0).permutation(12)
    straight = coco_map(predictions, truths, ["a", "b", "c"])
    shuffled = coco_map(
        [predictions[i] for i in order], [truths[i] for i in order], ["a", "b", "c"]
    )
    assert 0.1 < straight.score.value < 0.99
    assert shuffled.score.value == pytest.approx(straight.score.value, abs=1e-12)
    assert shuffled.further[0].value == pytest.approx(straight.further[0].value, abs=1e-12)


def test_bad_input_is_named() -> None:
    with pytest.raises(ValueError, match="1 predictions for 2 frames with truth"):
        coco_map([NOTHING], [NOTHING] * 2, ["car"])
    with pytest.raises(ValueError, match="truth 1: label 1 is not one of 1 classes"):
        coco_map([NOTHING] * 2, [NOTHING, found((A, 1.0, 1))], ["car"])
    with pytest.raises(ValueError, match="prediction 0: label 1 is not one of 1 classes"):
        coco_map([found((A, 1.0, 1))], [NOTHING], ["car"])


# ------------------------------------------------------------------ paired_bootstrap


@pytest.mark.parametrize("seed", range(4))
def test_the_point_estimate_is_cocos(seed: int) -> None:
    before, truths = scene(seed, 30)
    after = [p.above(0.3) for p in before]
    result = paired_bootstrap(
        before,
        after,
        truths,
        np.arange(30) // 5,
        n_classes=4,
        rng=np.random.default_rng(0),
        resamples=10,
    )
    names = ["a", "b", "c", "never there"]
    assert result.before == pytest.approx(coco_map(before, truths, names).score.value, abs=1e-6)
    assert result.after == pytest.approx(coco_map(after, truths, names).score.value, abs=1e-6)
    assert result.gain == pytest.approx(result.after - result.before)


def test_a_resample_is_what_coco_makes_of_the_repeated_frames() -> None:
    class Drawn:
        """A generator that draws block 0 twice, 1 never, 2 once, 3 once."""

        def multinomial(self, *_: object, size: int) -> np.ndarray:
            return np.tile([2, 0, 1, 1], (size, 1))

    before, truths = scene(9, 20)
    after, blocks = [p.above(0.4) for p in before], np.arange(20) // 5
    result = paired_bootstrap(
        before,
        after,
        truths,
        blocks,
        n_classes=3,
        rng=Drawn(),  # type: ignore[arg-type]
        resamples=3,
    )
    rows = [*range(5), *range(5), *range(10, 20)]

    def figure(predictions: list[Detections]) -> float:
        return coco_map(
            [predictions[i] for i in rows], [truths[i] for i in rows], ["a", "b", "c"]
        ).score.value

    assert result.low == result.high == pytest.approx(figure(after) - figure(before), abs=1e-6)
    assert result.low != pytest.approx(result.gain, abs=1e-4)


def test_a_detector_against_itself_differs_by_nothing() -> None:
    predictions, truths = scene(1, 20)
    result = paired_bootstrap(
        predictions, predictions, truths, range(20), n_classes=3, rng=np.random.default_rng(0)
    )
    assert (result.gain, result.low, result.high) == (0, 0, 0)


def test_a_clear_difference_is_sure() -> None:
    predictions, truths = scene(2, 40)
    blocks = np.arange(40) // 4
    worse = [p.where(np.arange(len(p)) % 3 > 0) for p in predictions]

    def compare(a: list[Detections], b: list[Detections]) -> tuple[float, float, float]:
        result = paired_bootstrap(a, b, truths, blocks, n_classes=3, rng=np.random.default_rng(0))
        return result.low, result.gain, result.high

    low, middle, high = compare(worse, predictions)
    assert 0 < low < middle < high
    assert compare(predictions, worse) == pytest.approx((-high, -middle, -low))


def test_the_names_and_order_of_blocks_do_not_matter() -> None:
    predictions, truths = scene(3, 12)
    other = [p.above(0.4) for p in predictions]

    def interval(blocks: list[int]) -> tuple[float, float]:
        result = paired_bootstrap(
            predictions, other, truths, blocks, n_classes=3, rng=np.random.default_rng(0)
        )
        return result.low, result.high

    assert interval([0] * 4 + [1] * 4 + [2] * 4) == interval([70] * 4 + [80] * 4 + [900] * 4)


def test_frames_of_one_block_stand_together() -> None:
    # Within each block all frames are alike, so the interval must be as wide as that of the four
    # blocks, and much wider than that of 40 frames taken for independent.
    truths = [found((A, 1.0, 0))] * 40
    before = [found((A, 0.9, 0))] * 20 + [NOTHING] * 20
    after = [NOTHING] * 10 + [found((A, 0.9, 0))] * 30
    blocks = np.arange(40) // 10

    def width(blocks: np.ndarray) -> float:
        result = paired_bootstrap(
            before, after, truths, blocks, n_classes=1, rng=np.random.default_rng(0)
        )
        return result.high - result.low

    assert width(blocks) > 2 * width(np.arange(40))


def test_as_many_blocks_are_drawn_as_there_are() -> None:
    # `after` finds the object of block 0 only. Two draws out of two: a quarter of the resamples
    # holds block 0 alone (difference 1), a quarter block 1 alone (0): the interval is 0…1.
    truths = [found((A, 1.0, 0))] * 2
    result = paired_bootstrap(
        [NOTHING] * 2,
        [truths[0], NOTHING],
        truths,
        [0, 1],
        n_classes=1,
        rng=np.random.default_rng(0),
    )
    assert (result.low, result.high) == pytest.approx((0, 1))
    assert result.gain == pytest.approx(51 / 101)  # right at the recalls 0…0.50


def test_what_cannot_be_known() -> None:
    truths, rng = [found((A, 1.0, 0))] * 3, np.random.default_rng(0)
    one = paired_bootstrap([NOTHING] * 3, truths, truths, [4] * 3, n_classes=1, rng=rng)
    assert (one.low, one.high) == (-1, 1)
    assert one.gain == pytest.approx(1)
    for frames in ([], [NOTHING] * 3):
        none = paired_bootstrap(frames, frames, frames, range(len(frames)), n_classes=1, rng=rng)
        assert (none.gain, none.low, none.high) == (0, -1, 1)


def test_resamples_without_truth_are_left_out() -> None:
    truths = [found((A, 1.0, 0)), NOTHING]
    result = paired_bootstrap(
        [NOTHING] * 2, truths, truths, [0, 1], n_classes=1, rng=np.random.default_rng(0)
    )
    assert (result.low, result.high) == pytest.approx((1, 1))


def test_bad_bootstraps_are_named() -> None:
    rng, frames = np.random.default_rng(0), [NOTHING] * 2
    with pytest.raises(ValueError, match="blocks: got 3, must be one for each of 2 frames"):
        paired_bootstrap(frames, frames, frames, range(3), n_classes=1, rng=rng)
    with pytest.raises(ValueError, match="resamples: got 0, must be 1 or more"):
        paired_bootstrap(frames, frames, frames, range(2), n_classes=1, rng=rng, resamples=0)
    with pytest.raises(ValueError, match="confidence: got 95, must lie between 0 and 1"):
        paired_bootstrap(frames, frames, frames, range(2), n_classes=1, rng=rng, confidence=95)
    with pytest.raises(ValueError, match="1 predictions for 2 frames"):
        paired_bootstrap(frames, frames[:1], frames, range(2), n_classes=1, rng=rng)


def test_500_resamples_of_300_frames_are_quick() -> None:
    before, truths = scene(7, 300)
    after = [p.above(0.2) for p in before]
    begin = time.process_time()
    paired_bootstrap(
        before, after, truths, np.arange(300) // 6, n_classes=3, rng=np.random.default_rng(0)
    )
    assert time.process_time() - begin < 20  # CPU seconds; it takes about one


# ------------------------------------------------------------------ as it is stored


def test_an_accuracy_from_before_0_2_is_one_of_boxes() -> None:
    rest = {"per_class": {"person": 0.5, "car": None}, "frames": 9, "objects": 3}
    old = Accuracy.model_validate({"map50": 0.5, "map": 0.3, **rest})
    assert old == Accuracy(
        score=Score(metric="mAP50", value=0.5), further=(Score(metric="mAP", value=0.3),), **rest
    )
    assert Accuracy.model_validate(old.model_dump(mode="json")) == old
