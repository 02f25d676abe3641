"""Privacy masks and ignore zones: what nobody sees, and what counts for nothing."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import numpy as np
import pytest
import torch

from culling_pipeline.tasks.samples import Sample
from culling_pipeline.training.loop import fine_tune
from models.boxes.detections import Detections
from models.boxes.detector import SLIM_ANCHOR_PX, DetectorSpec, TorchDetector, build_model
from models.boxes.losses import _ignored, image_losses
from models.boxes.zones import IgnoringDetector, OpenIgnoring, outside
from models.zones import GRID, Zones
from streams.base import Frame, FrameSource, SourceInfo
from streams.mask import MaskedSource, covered
from streams.sampler import Sampler
from tests.unit.plans import box_task, train_plan

LEFT = ((0.0, 0.0), (0.5, 0.0), (0.5, 1.0), (0.0, 1.0))
TRIANGLE = ((0.0, 0.0), (1.0, 0.0), (0.0, 1.0))


class Grey(FrameSource):
    """Two sizes of grey pictures, one after the other."""

    closed = False
    info = SourceInfo(
        kind="grey", location="grey", width_px=8, height_px=4, started_at=datetime.now(UTC)
    )

    def frames(self, sampler: Sampler | None = None) -> Iterator[Frame]:
        for k, (height, width) in enumerate([(4, 8), (4, 8), (10, 6)]):
            image = np.full((height, width, 3), 200, np.uint8)
            image.flags.writeable = False
            yield Frame(image, float(k), datetime.now(UTC), "yard")

    def close(self) -> None:
        self.closed = True


def test_a_mask_is_black_at_every_size_and_touches_nothing_else() -> None:
    source = Grey()
    with MaskedSource(source, [LEFT]) as masked:
        shown = [frame.image for frame in masked]
    assert source.closed
    for image in shown:
        half = image.shape[1] // 2
        assert (image[:, :half] == 0).all()
        assert (image[:, half + 1 :] == 200).all()


@pytest.mark.parametrize("size", [(90, 160), (1080, 1920)])
def test_a_mask_covers_all_pixels_inside_its_polygon(size: tuple[int, int]) -> None:
    height, width = size
    mask = covered([TRIANGLE], height, width)
    y, x = np.mgrid[:height, :width]
    inside = (x + 1) / width + (y + 1) / height < 1
    assert mask[inside].all()
    assert mask.mean() == pytest.approx(0.5, abs=0.02)


def boxes(*centres: tuple[float, float]) -> Detections:
    around = [(x - 2, y - 2, x + 2, y + 2) for x, y in centres]
    count = len(around)
    return Detections(
        np.array(around, np.float32), np.full(count, 0.9, np.float32), np.zeros(count, np.int64)
    )


def test_what_lies_in_a_zone_is_dropped_by_its_centre() -> None:
    zones = Zones((LEFT,))
    kept = outside(zones, boxes((10, 10), (49, 10), (51, 10), (90, 40)), 50, 100)
    assert kept.boxes_xyxy[:, 0].tolist() == [49, 88]
    assert not len(outside(zones, Detections.empty(), 50, 100))


def test_a_zone_with_a_notch_leaves_the_notch_out() -> None:
    letter_u = ((0, 0), (0.3, 0), (0.3, 0.6), (0.7, 0.6), (0.7, 0), (1, 0), (1, 1), (0, 1))
    zones = Zones((letter_u,))
    points = np.array([[0.1, 0.1], [0.5, 0.3], [0.9, 0.1], [0.5, 0.8]]).T
    assert zones.holds(*points).tolist() == [True, False, True, True]
    assert zones.map()[GRID // 4, GRID // 2] == np.False_
    assert zones.map().mean() == pytest.approx(1 - 0.4 * 0.6, abs=0.01)


def test_any_detector_can_be_made_to_ignore_zones() -> None:
    class Fixed:
        class_names = ("person",)

        def predict(self, images: list[np.ndarray]) -> list[Detections]:
            return [boxes((10, 10), (60, 10)) for _ in images]

    detector = OpenIgnoring(Fixed, Zones((LEFT,)))()
    assert isinstance(detector, IgnoringDetector)
    found = detector.predict([np.zeros((20, 80, 3), np.uint8)])
    assert found[0].boxes_xyxy[:, 0].tolist() == [58]
    assert isinstance(OpenIgnoring(Fixed, Zones())(), Fixed)


# -- training --------------------------------------------------------------------------------------


def small_detector() -> TorchDetector:
    torch.manual_seed(0)
    spec = DetectorSpec(
        architecture="resnet18",
        class_names=("person",),
        height_px=96,
        width_px=160,
        width=0.25,
        anchor_px=SLIM_ANCHOR_PX,
        proposals=50,
    )
    return TorchDetector(build_model(spec), spec)


def test_boxes_in_the_ignored_part_are_known_by_their_centre() -> None:
    target = {"ignored": torch.from_numpy(Zones((LEFT,)).map())}
    around = torch.tensor([[0.0, 0, 20, 20], [70, 0, 88, 20], [72, 0, 90, 20], [150, 90, 170, 99]])
    assert _ignored(around, target, (96, 160)).tolist() == [True, True, False, False]
    assert not _ignored(around, {}, (96, 160)).any()


def test_nothing_is_learned_from_an_ignored_part() -> None:
    """What stands in the zone may change as it likes: no anchor and no proposal there counts."""
    model = small_detector().model.train()
    target = {"boxes": torch.zeros(0, 4), "labels": torch.zeros(0, dtype=torch.int64)}
    everywhere = {**target, "ignored": torch.ones(GRID, GRID, dtype=torch.bool)}
    losses = image_losses(model, [torch.rand(3, 96, 160)] * 2, [target, everywhere])
    of_background = losses["loss_objectness"] + losses["loss_classifier"]
    assert of_background[0] > 0
    assert of_background[1] == 0


def test_mirrored_pictures_have_mirrored_zones(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bool] = []

    def spy(model: object, images: list[torch.Tensor], targets: list[dict[str, torch.Tensor]]):
        for image, target in zip(images, targets, strict=True):
            left_is_dark = bool(image[:, :, :80].mean() < image[:, :, 80:].mean())
            seen.append(left_is_dark == bool(target["ignored"][:, : GRID // 2].all()))
        return image_losses(model, images, targets)  # type: ignore[arg-type]

    monkeypatch.setattr("models.boxes.losses.image_losses", spy)
    image = np.full((96, 160, 3), 250, np.uint8)
    image[:, :80] = 0
    samples = [Sample(image, Detections.empty(), Zones((LEFT,)).map())] * 8
    fine_tune(
        small_detector(),
        box_task("person", "car", "bicycle"),
        samples,
        train_plan(schedule="standard", epochs=1, batch_size=4),
    )
    assert len(seen) == 16
    assert all(seen)
