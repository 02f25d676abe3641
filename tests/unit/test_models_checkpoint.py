"""Weights in and out: round trips, complete or absent, and one clear line for every damage."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import pickle
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save as tensors_to_bytes
from torch import Tensor, nn

from models import files
from models.checkpoint import load_checkpoint, load_into, load_pth, save_checkpoint
from models.errors import WeightsError

META = {"architecture": "tiny", "width": 8, "class_names": ["person"], "image_size": [120, 160]}


def state() -> dict[str, Tensor]:
    torch.manual_seed(1)
    return {
        "a.weight": torch.randn(3, 4),
        "a.bias": torch.zeros(3),
        "steps": torch.tensor(7),
        "empty": torch.zeros(0, 4),
    }


def same(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(
        one[n].dtype == other[n].dtype and torch.equal(one[n], other[n]) for n in one
    )


def exit_code_when_killed_at(method: str, action: Callable[[], object]) -> int:
    """Run `action` in a child process that dies, without clean-up, when it calls Path.`method`."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # fork beside threads, Python 3.12
        child = os.fork()
    if child == 0:
        try:
            setattr(Path, method, lambda *_: os._exit(9))
            action()
        finally:
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.parametrize("name", ["v1", "demo.safetensors"])
def test_round_trip(tmp_path: Path, name: str) -> None:
    path = tmp_path / "camera" / name
    save_checkpoint(path, state(), META)
    tensors, meta = load_checkpoint(path)
    assert same(tensors, state())
    assert {key: meta[key] for key in META} == META
    expected = ["v1"] if name == "v1" else ["demo.json", "demo.safetensors"]
    assert sorted(p.name for p in path.parent.iterdir()) == expected


def test_the_single_file_form_replaces_the_folder_form_does_not(tmp_path: Path) -> None:
    path = tmp_path / "demo.safetensors"
    save_checkpoint(path, state(), META)
    save_checkpoint(path, {"b": torch.ones(1)}, META)
    assert list(load_checkpoint(path)[0]) == ["b"]
    save_checkpoint(tmp_path / "v1", state(), META)
    with pytest.raises(WeightsError, match="v1: already exists"):
        save_checkpoint(tmp_path / "v1", {"b": torch.ones(1)}, META)
    assert same(load_checkpoint(tmp_path / "v1")[0], state())


def test_half_takes_half_the_room_and_comes_back_as_float32(tmp_path: Path) -> None:
    big = {"w": torch.randn(200, 50), "steps": torch.tensor(7)}
    save_checkpoint(tmp_path / "full", big, META)
    save_checkpoint(tmp_path / "half", big, META, half=True)
    sizes = [(tmp_path / n / "model.safetensors").stat().st_size for n in ("full", "half")]
    assert sizes[1] < 0.55 * sizes[0]
    tensors, _ = load_checkpoint(tmp_path / "half")
    assert tensors["w"].dtype == torch.float32
    assert tensors["steps"].dtype == torch.int64
    torch.testing.assert_close(tensors["w"], big["w"], rtol=1e-3, atol=1e-3)


def test_shared_and_sliced_tensors_are_saved(tmp_path: Path) -> None:
    whole = torch.arange(12.0).reshape(3, 4)
    save_checkpoint(tmp_path / "v", {"a": whole, "b": whole, "column": whole[:, 1]}, META)
    tensors, _ = load_checkpoint(tmp_path / "v")
    assert torch.equal(tensors["b"], whole)
    assert torch.equal(tensors["column"], whole[:, 1])


@pytest.mark.parametrize(
    ("value", "half", "message"),
    [
        (float("nan"), False, "'w' has values that are not finite$"),
        (1e6, True, "'w' has values that are not finite in 16 bits"),
    ],
)
def test_what_is_not_finite_is_not_saved(
    tmp_path: Path, value: float, half: bool, message: str
) -> None:
    with pytest.raises(WeightsError, match=message):
        save_checkpoint(tmp_path / "v", {"w": torch.tensor([value])}, META, half=half)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("value", [object(), float("nan")])
def test_meta_that_is_not_json_is_not_saved(tmp_path: Path, value: Any) -> None:
    with pytest.raises(WeightsError, match="meta cannot be written as JSON"):
        save_checkpoint(tmp_path / "v", state(), {"x": value})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["v1", "demo.safetensors"])
def test_a_full_disk_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    # Given a disk that is full once the first bytes are written,
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    # Then the error says so and neither the checkpoint nor a half of it is there.
    with pytest.raises(WeightsError, match=r"could not be written .*No space left"):
        save_checkpoint(tmp_path / name, state(), META)
    assert list(tmp_path.iterdir()) == []


def test_killed_before_the_rename_there_is_no_checkpoint(tmp_path: Path) -> None:
    # Given a process that dies, without any clean-up, the moment all but the rename is done,
    def save() -> None:
        save_checkpoint(tmp_path / "v1", {"w": torch.ones(3)}, META)

    assert exit_code_when_killed_at("rename", save) == 9
    # Then only a hidden part lies there, which no version name can match.
    (part,) = tmp_path.iterdir()
    assert part.name.startswith(".v1.")
    assert part.suffix == ".tmp"


def _truncate(folder: Path) -> None:
    file = folder / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-5])


def _swap_bit(folder: Path) -> None:
    file = folder / "model.safetensors"
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(bytes(data))


def _other_content(folder: Path) -> None:
    data = b"not safetensors at all"
    (folder / "model.safetensors").write_bytes(data)
    (folder / "meta.json").write_text(json.dumps({"sha256": hashlib.sha256(data).hexdigest()}))


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "no tensors": (lambda f: (f / "model.safetensors").unlink(), "model.safetensors: no such file"),
    "no meta": (lambda f: (f / "meta.json").unlink(), "meta.json: no such file"),
    "truncated": (_truncate, r"model.safetensors: truncated or changed .* SHA-256 is \w{12}…"),
    "one bit": (_swap_bit, "truncated or changed"),
    "empty": (lambda f: (f / "model.safetensors").write_bytes(b""), "truncated or changed"),
    "bad JSON": (lambda f: (f / "meta.json").write_text('{"a": '), "meta.json: not JSON"),
    "deep JSON": (lambda f: (f / "meta.json").write_text("[" * 100_000), "meta.json: not JSON"),
    "not text": (lambda f: (f / "meta.json").write_bytes(b"\xff\xfe\x00"), "not JSON"),
    "no object": (lambda f: (f / "meta.json").write_text("[]"), "JSON object, found list"),
    "no hash": (lambda f: (f / "meta.json").write_text("{}"), "truncated or changed"),
    "not tensors": (_other_content, "not a safetensors file"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_every_damage_is_one_clear_line(tmp_path: Path, damage: str) -> None:
    folder = tmp_path / "v1"
    save_checkpoint(folder, state(), META)
    harm, message = DAMAGES[damage]
    harm(folder)
    with pytest.raises(WeightsError, match=message) as caught:
        load_checkpoint(folder)
    assert str(folder) in str(caught.value)
    assert "roll back to another version" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_checkpoint_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"nowhere/meta.json: no such file"):
        load_checkpoint(tmp_path / "nowhere")
    (tmp_path / "file.pt").write_bytes(b"x")
    with pytest.raises(WeightsError, match="Not a directory"):
        load_checkpoint(tmp_path / "file.pt")


@pytest.mark.parametrize("key", [None, "model", "state_dict"])
def test_pth_plain_or_wrapped(tmp_path: Path, key: str | None) -> None:
    content = state() if key is None else {key: state(), "epoch": 3}
    torch.save(content, tmp_path / "w.pth")
    assert same(load_pth(tmp_path / "w.pth"), state())


class Payload:
    """Creates a file when it is unpickled."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.canary),)


@pytest.mark.parametrize("how", ["zip", "legacy", "pickle", "wrapped"])
def test_a_pickle_with_a_payload_is_refused_and_nothing_runs(tmp_path: Path, how: str) -> None:
    canary, path = tmp_path / "canary", tmp_path / "w.pth"
    payload = {"w": torch.ones(1), "x": Payload(canary)}
    if how == "pickle":
        path.write_bytes(pickle.dumps(payload))
    else:
        content = {"model": payload} if how == "wrapped" else payload
        torch.save(content, path, _use_new_zipfile_serialization=how != "legacy")
    with pytest.raises(WeightsError, match="refused, nothing was run") as caught:
        load_pth(path)
    assert not canary.exists()
    assert "\n" not in str(caught.value)
    # The canary is a live one: Python's own unpickler does set it off.
    pickle.loads(pickle.dumps(Payload(canary)))
    assert canary.exists()


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 and no more", b"\x80\x02}q\x00", b"<html>"])
def test_what_is_not_a_pth_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "w.pth"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=r"w\.pth: (truncated, or not a PyTorch|refused)"):
        load_pth(path)


def test_a_truncated_pth_is_refused(tmp_path: Path) -> None:
    torch.save(state(), tmp_path / "w.pth")
    data = (tmp_path / "w.pth").read_bytes()
    (tmp_path / "w.pth").write_bytes(data[: len(data) // 2])
    with pytest.raises(WeightsError, match="truncated, or not a PyTorch file"):
        load_pth(tmp_path / "w.pth")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([1, 2], "must hold a state dict, found list"),
        ({}, "must hold a state dict, found dict"),
        ({"weights": {"w": torch.ones(1)}}, "found 'weights' → dict"),
        ({3: torch.ones(1)}, "found 3 → Tensor"),
    ],
)
def test_a_pth_without_a_state_dict(tmp_path: Path, content: object, message: str) -> None:
    torch.save(content, tmp_path / "w.pth")
    with pytest.raises(WeightsError, match=message):
        load_pth(tmp_path / "w.pth")


def test_a_pth_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"w\.pth: no such file"):
        load_pth(tmp_path / "w.pth")


def test_load_into_loads_every_tensor() -> None:
    source, target = nn.Linear(4, 3), nn.Linear(4, 3)
    load_into(target, source.state_dict(), source="w.pth")
    assert torch.equal(target.weight, source.weight)
    assert torch.equal(target.bias, source.bias)


def test_load_into_lists_what_does_not_fit_and_changes_nothing() -> None:
    model = nn.Sequential(*[nn.Linear(4, 4, bias=False) for _ in range(6)])
    before = [p.clone() for p in model.parameters()]
    wrong = {"0.weight": torch.ones(2, 4), "1.weight": torch.ones(4, 4), "extra": torch.ones(1)}
    with pytest.raises(
        WeightsError,
        match=r"w\.pth: .* Sequential with 6 tensors: 4 missing \(2\.weight, 3\.weight, "
        r"4\.weight, …\), 1 unexpected \(extra\), "
        r"1 of another shape \(0\.weight \(2, 4\) for \(4, 4\)\)",
    ):
        load_into(model, wrong, source="w.pth")
    assert all(torch.equal(a, b) for a, b in zip(before, model.parameters(), strict=True))


def test_names_aside_are_fresh_and_hidden(tmp_path: Path) -> None:
    names = {files.aside(tmp_path / "v1").name for _ in range(20)}
    assert len(names) == 20
    assert all(name.startswith(".v1.") and name.endswith(".tmp") for name in names)


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "model.", "module._orig_mod."])
def test_what_training_puts_before_every_name_is_taken_off(tmp_path: Path, prefix: str) -> None:
    torch.save({f"{prefix}{name}": value for name, value in state().items()}, tmp_path / "w.pth")
    assert same(load_pth(tmp_path / "w.pth"), state())


def test_a_prefix_of_some_names_stays(tmp_path: Path) -> None:
    torch.save({"module.a": torch.ones(1), "b": torch.ones(1)}, tmp_path / "w.pth")
    assert list(load_pth(tmp_path / "w.pth")) == ["module.a", "b"]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e300])
def test_what_is_not_finite_is_not_loaded(tmp_path: Path, value: float) -> None:
    weights = {"good": torch.ones(2), "bad": torch.tensor([1.0, value], dtype=torch.float64)}
    torch.save(weights, tmp_path / "w.pth")
    with pytest.raises(WeightsError, match=r"w\.pth: tensor 'bad' has values that are not finite"):
        load_pth(tmp_path / "w.pth")
    data = tensors_to_bytes(weights)
    (tmp_path / "w.safetensors").write_bytes(data)
    (tmp_path / "w.json").write_text(json.dumps({"sha256": hashlib.sha256(data).hexdigest()}))
    with pytest.raises(WeightsError, match=r"safetensors: tensor 'bad' has values that are not f"):
        load_checkpoint(tmp_path / "w.safetensors")
