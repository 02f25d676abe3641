"""Weights in and out: tensors as safetensors beside a JSON file, complete or absent, verified."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as tensors_from_bytes
from safetensors.torch import save as tensors_to_bytes
from torch import Tensor, nn

from models.errors import WeightsError
from models.files import (
    META_FILE,
    REMEDY,
    TENSORS_FILE,
    TENSORS_SUFFIX,
    checkpoint_files,
    read_bytes,
    read_meta,
    replace_file,
    write_folder,
)
from models.unpickling import read_pickled

WRAPPERS = ("module.", "_orig_mod.", "model.")
SHOWN = 3
"""Number of mismatched tensors that an error message names of each kind."""


def save_checkpoint(
    folder: Path, state_dict: Mapping[str, Tensor], meta: Mapping[str, Any], *, half: bool = False
) -> None:
    """Write tensors and `meta` to a new `folder`, or to NAME.safetensors with NAME.json beside it.

    The folder is complete or absent, whenever the machine stops. `half` stores floats in 16 bits.
    `meta` gets the tensors' SHA-256. An existing folder, a tensor that is not finite (or is not in
    16 bits) and a `meta` that JSON cannot hold raise `WeightsError`.
    """
    if folder.suffix != TENSORS_SUFFIX and folder.exists():
        message = f"{folder}: already exists: choose another version name or remove it"
        raise WeightsError(message)
    tensors = tensors_to_bytes(_storable(state_dict, half=half))
    text = _meta_text(meta, tensors)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        if folder.suffix == TENSORS_SUFFIX:
            replace_file(folder, tensors)
            replace_file(folder.with_suffix(".json"), text)
        else:
            write_folder(folder, {TENSORS_FILE: tensors, META_FILE: text})
    except OSError as exc:
        message = f"{folder}: could not be written ({exc}): check the disk's space and rights"
        raise WeightsError(message) from exc


def load_checkpoint(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors (floats as float32, on the CPU) and meta of a folder or a NAME.safetensors.

    Anything missing or damaged raises `WeightsError`.
    """
    tensors_path, meta_path = checkpoint_files(path)
    meta = read_meta(meta_path)
    data = read_bytes(tensors_path)
    found = hashlib.sha256(data).hexdigest()
    if meta.get("sha256") != found:
        message = (
            f"{tensors_path}: truncated or changed since it was saved: SHA-256 is {found[:12]}…, "
            f"{meta_path.name} says {str(meta.get('sha256'))[:12]}…; {REMEDY}"
        )
        raise WeightsError(message)
    try:
        tensors = tensors_from_bytes(data)
    except (SafetensorError, ValueError, KeyError) as exc:
        message = f"{tensors_path}: not a safetensors file ({exc}); {REMEDY}"
        raise WeightsError(message) from exc
    return {name: _full(tensor, name, tensors_path) for name, tensor in tensors.items()}, meta


def load_pth(path: Path) -> dict[str, Tensor]:
    """The state dict in a .pth or .pkl file, or under its key 'model' or 'state_dict', on the CPU.

    Nothing in the file is ever run (`models.unpickling`); floats of 16 bits come as float32. A
    file that is missing, damaged or holds anything else raises `WeightsError`.
    """
    return _state_dict_in(read_pickled(path), path)


def load_into(model: nn.Module, state: Mapping[str, Tensor], *, source: object) -> None:
    """Load `state` into `model`, every tensor of both; `source` names it in the error."""
    check_fits(model, state, source=source)
    model.load_state_dict(dict(state), strict=True)


def check_fits(model: nn.Module, state: Mapping[str, Tensor], *, source: object) -> None:
    """Refuse tensors that are not exactly the model's, by name and shape."""
    own = model.state_dict()
    missing = [name for name in own if name not in state]
    unexpected = [name for name in state if name not in own]
    shapes = [
        f"{name} {tuple(state[name].shape)} for {tuple(own[name].shape)}"
        for name in own
        if name in state and state[name].shape != own[name].shape
    ]
    kinds = [("missing", missing), ("unexpected", unexpected), ("of another shape", shapes)]
    problems = [f"{len(names)} {kind} ({_first(names)})" for kind, names in kinds if names]
    if problems:
        message = (
            f"{source}: weights of another architecture than {type(model).__name__} with "
            f"{len(own)} tensors: {', '.join(problems)}; check architecture, width and classes"
        )
        raise WeightsError(message)


def _storable(state_dict: Mapping[str, Tensor], *, half: bool) -> dict[str, Tensor]:
    stored = {}
    for name, tensor in state_dict.items():
        value = tensor.detach().cpu()
        if value.is_floating_point():
            value = value.half() if half else value
            if not value.isfinite().all():
                message = f"tensor '{name}' has values that are not finite{' in 16 bits' * half}"
                raise WeightsError(message)
        stored[name] = value.clone(memory_format=torch.contiguous_format)
    return stored


def _meta_text(meta: Mapping[str, Any], tensors: bytes) -> bytes:
    whole = {**meta, "sha256": hashlib.sha256(tensors).hexdigest()}
    try:
        return (json.dumps(whole, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()
    except (TypeError, ValueError) as exc:
        message = f"meta cannot be written as JSON ({exc}): use plain numbers, strings and lists"
        raise WeightsError(message) from exc


def _full(tensor: Tensor, name: str, path: Path) -> Tensor:
    """Half floats as float32; everything else as it is. NaN and infinity are refused: a net with
    them finds nothing, without a word."""
    if tensor.is_floating_point() and not tensor.float().isfinite().all():
        message = (
            f"{path}: tensor '{name}' has values that are not finite (NaN): its training went "
            "wrong, or the file is damaged; take an earlier checkpoint"
        )
        raise WeightsError(message)
    return tensor.float() if tensor.dtype in (torch.float16, torch.bfloat16) else tensor


def _state_dict_in(content: object, path: Path) -> dict[str, Tensor]:
    for key in ("model", "state_dict"):
        if isinstance(content, Mapping) and isinstance(content.get(key), Mapping):
            content = content[key]
    if not isinstance(content, Mapping) or not content:
        message = f"{path}: must hold a state dict, found {type(content).__name__}"
        raise WeightsError(message)
    for name, value in content.items():
        if not isinstance(name, str) or not isinstance(value, Tensor):
            message = (
                f"{path}: must hold a state dict (name → tensor) at its top, or under 'model' or "
                f"'state_dict'; found {name!r} → {type(value).__name__}"
            )
            raise WeightsError(message)
    return {name: _full(value, name, path) for name, value in _without_wrapper(content).items()}


def _without_wrapper(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The names without what training puts before all of them: DistributedDataParallel's
    `module.`, torch.compile's `_orig_mod.`, Lightning's `model.`."""
    found = dict(state)
    while prefix := next((p for p in WRAPPERS if all(name.startswith(p) for name in found)), None):
        found = {name.removeprefix(prefix): value for name, value in found.items()}
    return found


def _first(names: list[str]) -> str:
    return ", ".join(names[:SHOWN]) + (", …" if len(names) > SHOWN else "")
