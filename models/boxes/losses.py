"""Per-image training losses of torchvision's Faster R-CNN.

torchvision returns losses averaged over the batch; Drop-and-Pick (Algorithm 1) needs each image's
own. Here the same forward pass is taken apart at the two places where the averages are made, so
that the per-image losses add up to torchvision's batch losses.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.models.detection import FasterRCNN
from torchvision.models.detection.roi_heads import RoIHeads
from torchvision.models.detection.rpn import RegionProposalNetwork, concat_box_prediction_layers

from models.base import Trainable
from models.boxes.detector import set_image_size
from models.boxes.pooling import pool_regions

Prepared = tuple[Tensor, dict[str, Tensor]]
Targets = list[dict[str, Tensor]]

_SMOOTH_L1_BETA = 1 / 9  # torchvision's, in both stages


def image_losses(model: nn.Module, images: list[Tensor], targets: Targets) -> dict[str, Tensor]:
    """Losses of one batch by name, each a tensor of one value per image (float32, shape N).

    For a Faster R-CNN the sum over images is torchvision's own batch loss. Other detectors
    (RetinaNet, FCOS, SSD) are run one image at a time and divided by N: the same up to how each
    of them normalises over a batch.

    A target may have `ignored` (GRID×GRID bool, `zones.py`): a Faster R-CNN then takes nothing
    from there as background. Other detectors do not heed it.
    """
    if not isinstance(model, FasterRCNN):
        return _one_at_a_time(model, images, targets)
    sized, targets = model.transform(images, targets)
    features = model.backbone(sized.tensors)
    proposals, first = _rpn_losses(model.rpn, sized, features, targets)
    second = _roi_losses(model.roi_heads, features, proposals, sized.image_sizes, targets)
    return {**second, **first}


def losses_by_image(student: Trainable, batch: Sequence[Prepared]) -> Tensor:
    """The batch's loss, split by image: N float32, at the size the student works at. A batch is of
    pictures (3×H×W uint8) with their targets."""
    set_image_size(student.model, *student.size)
    losses = image_losses(
        student.model,
        [image.to(torch.float32).div_(255.0) for image, _ in batch],
        [target for _, target in batch],
    )
    return torch.stack([value.float() for value in losses.values()]).sum(dim=0)


def _one_at_a_time(model: nn.Module, images: list[Tensor], targets: Targets) -> dict[str, Tensor]:
    singles = [model([i], [t]) for i, t in zip(images, targets, strict=True)]
    return {
        name: torch.stack([single[name] for single in singles]) / len(images) for name in singles[0]
    }


def _rpn_losses(
    rpn: RegionProposalNetwork,
    images: object,
    features: dict[str, Tensor],
    targets: Targets,
) -> tuple[list[Tensor], dict[str, Tensor]]:
    """The proposals, and objectness and box loss of the first stage, as in torchvision's
    `RegionProposalNetwork.forward` and `compute_loss`."""
    levels = list(features.values())
    objectness, deltas = rpn.head(levels)
    anchors = rpn.anchor_generator(images, levels)
    count = len(anchors)
    per_level = [o[0].shape[0] * o[0].shape[1] * o[0].shape[2] for o in objectness]
    objectness, deltas = concat_box_prediction_layers(objectness, deltas)
    # Boxes need more bits than bfloat16 has.
    objectness, deltas = objectness.float(), deltas.float()
    decoded = rpn.box_coder.decode(deltas.detach(), anchors).view(count, -1, 4)
    sizes: list[tuple[int, int]] = images.image_sizes  # type: ignore[attr-defined]
    proposals, _ = rpn.filter_proposals(decoded, objectness, sizes, per_level)
    labels, matched = _anchor_labels(rpn, anchors, targets, sizes)
    wanted = rpn.box_coder.encode(matched, anchors)
    shaped = objectness.view(count, -1), deltas.view(count, -1, 4)
    return proposals, _anchor_losses(rpn, *shaped, labels, wanted)


def _anchor_labels(
    rpn: RegionProposalNetwork,
    anchors: list[Tensor],
    targets: Targets,
    sizes: list[tuple[int, int]],
) -> tuple[list[Tensor], list[Tensor]]:
    """For each image the anchors' labels (1 object, 0 background, −1 neither) and the box of the
    object each anchor is matched with. Background in an ignore zone becomes neither."""
    labels, matched = rpn.assign_targets_to_anchors(anchors, targets)
    for label, boxes, target, size in zip(labels, anchors, targets, sizes, strict=True):
        label[(label == 0) & _ignored(boxes, target, size)] = -1
    return labels, matched


def _anchor_losses(
    rpn: RegionProposalNetwork,
    objectness: Tensor,
    deltas: Tensor,
    labels: list[Tensor],
    wanted: Sequence[Tensor],
) -> dict[str, Tensor]:
    """Objectness and box loss by image, over a random sample of the A anchors. `objectness` is
    N×A, `deltas` N×A×4, the labels and the deltas wanted are by image."""
    positive, negative = rpn.fg_bg_sampler(labels)
    chosen = [torch.where(p | n)[0] for p, n in zip(positive, negative, strict=True)]
    total = max(sum(len(c) for c in chosen), 1)
    score_losses, box_losses = [], []
    for i, picked in enumerate(chosen):
        score_losses.append(
            functional.binary_cross_entropy_with_logits(
                objectness[i, picked], labels[i][picked], reduction="sum"
            )
        )
        at = torch.where(positive[i])[0]
        box_losses.append(
            functional.smooth_l1_loss(
                deltas[i, at], wanted[i][at], beta=_SMOOTH_L1_BETA, reduction="sum"
            )
        )
    return {
        "loss_objectness": torch.stack(score_losses) / total,
        "loss_rpn_box_reg": torch.stack(box_losses) / total,
    }


def _roi_losses(
    heads: RoIHeads,
    features: dict[str, Tensor],
    proposals: list[Tensor],
    image_sizes: list[tuple[int, int]],
    targets: Targets,
) -> dict[str, Tensor]:
    """Class and box loss of the second stage, as in `RoIHeads.forward` and `fastrcnn_loss`."""
    proposals, _, labels, wanted = heads.select_training_samples(proposals, targets)
    counts = [
        (label > 0) | ~_ignored(boxes, target, size)
        for boxes, label, target, size in zip(proposals, labels, targets, image_sizes, strict=True)
    ]
    proposals, labels, wanted = (
        [of_image[mask] for of_image, mask in zip(kind, counts, strict=True)]
        for kind in (proposals, labels, wanted)
    )
    pooled = pool_regions(heads, features, proposals, image_sizes)
    logits, deltas = heads.box_predictor(heads.box_head(pooled))
    logits, deltas = logits.float(), deltas.float()
    sizes = [len(p) for p in proposals]
    total = max(sum(sizes), 1)
    class_losses, box_losses = [], []
    for scores, moves, label, target in zip(
        logits.split(sizes), deltas.split(sizes), labels, wanted, strict=True
    ):
        class_losses.append(functional.cross_entropy(scores, label, reduction="sum"))
        at = torch.where(label > 0)[0]
        own = moves.view(len(label), scores.shape[1], 4)[at, label[at]]
        box_losses.append(
            functional.smooth_l1_loss(own, target[at], beta=_SMOOTH_L1_BETA, reduction="sum")
        )
    return {
        "loss_classifier": torch.stack(class_losses) / total,
        "loss_box_reg": torch.stack(box_losses) / total,
    }


def _ignored(boxes: Tensor, target: dict[str, Tensor], size: tuple[int, int]) -> Tensor:
    """Which boxes (N×4) have their centre in an ignore zone of a picture of this height and width:
    N bool."""
    zone = target.get("ignored")
    if zone is None:
        return torch.zeros(len(boxes), dtype=torch.bool, device=boxes.device)
    cells = torch.tensor([zone.shape[1] / size[1], zone.shape[0] / size[0]], device=boxes.device)
    place = ((boxes[:, :2] + boxes[:, 2:]) / 2 * cells).long()
    columns = place[:, 0].clamp(0, zone.shape[1] - 1)
    rows = place[:, 1].clamp(0, zone.shape[0] - 1)
    return zone[rows, columns]
