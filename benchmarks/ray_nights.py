"""Real nights on a Ray cluster of two nodes, one of which is killed: do all finish, none twice?

    python -m benchmarks.ray_nights [--cameras 16]

Both nodes are of this machine (`ray.cluster_utils.Cluster`), with one CPU each; the service's own
loop (`jobs.service.nights`) hands out the tiny nights of the tests. The same nights run on one
node, on two, on two of which one is killed (SIGKILL) in the middle of a night when a quarter of
them are done, and through `local` with two slots; the models of all must be equal to the bit.
Results: benchmarks/results/ray.json.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml
from safetensors.torch import load_file, save

from benchmarks.testbed.tiny import SMALL
from jobs.config.load import load_config
from jobs.database.store import Store
from jobs.executors.base import Executor
from jobs.executors.local import LocalExecutor
from jobs.executors.ray import RayExecutor
from jobs.service.nights import Nights, Origin
from jobs.service.notify import Notifier
from models.registry import ModelRegistry

RESULTS = Path(__file__).parent / "results"
SECONDS = 1500


def configure(folder: Path, cameras: int, address: str | None) -> Path:
    """A configuration of so many tiny cameras, each with a street of its own."""
    source = "synthetic://street?seed={}&hours=24&width=160&height=96"
    content = {
        "data_dir": str(folder / "data"), "workers": 1, "device": "cpu",
        "defaults": {"schedule": None},
        "service": {"executor": "ray", "ray_address": address, "port": None} if address else {},
        "cameras": {
            f"camera-{k:02d}": {**SMALL, "source": source.format(50 + k)} for k in range(cameras)
        },
    }  # fmt: skip
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    return path


def run(
    path: Path, executor: Executor, on_tick: Callable[[Store], None] = lambda _: None
) -> dict[str, Any]:
    """All cameras' nights, asked for at once; what became of them."""
    config = load_config(path)
    with Store(config.data_dir) as store:
        nights = Nights(
            config, Origin(path, {}), store, executor, Notifier(config.service, store.notices),
            now=lambda: datetime.now(UTC),
        )  # fmt: skip
        for camera in config.cameras:
            store.dues.ask(camera, datetime.now(UTC) - timedelta(seconds=1))
        began = time.monotonic()
        while set(store.dues.counts()) - {"done", "failed"}:
            nights.tick()
            on_tick(store)
            time.sleep(0.2)
            if time.monotonic() - began > SECONDS:
                break
        seconds = time.monotonic() - began
        nights.stop()
        done = Counter(night.camera for night in store.nights() if night.state == "done")
        resumed = sum(night.attempt > 1 for night in store.nights())
        states = store.dues.counts()
    return {
        "seconds": round(seconds, 1),
        "done": sum(done.values()),
        "twice": sum(count > 1 for count in done.values()),
        "begun_anew": resumed,
        "dues": states,
        "models": {camera: digest(config.models_root, camera) for camera in config.cameras},
    }


def digest(models: Path, camera: str) -> str | None:
    """SHA-256 of the incumbent's tensors."""
    registry = ModelRegistry(models)
    version = registry.incumbent(camera)
    if version is None:
        return None
    (weights,) = registry.path(camera, version).glob("*.safetensors")
    return hashlib.sha256(save(dict(sorted(load_file(weights).items())))).hexdigest()


def on_ray(cameras: int, *, nodes: int, kill: bool = False) -> dict[str, Any]:
    """The nights on a cluster of so many nodes."""
    from ray.cluster_utils import Cluster  # an extra, which `--help` does not need

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    added = [cluster.add_node(num_cpus=1) for _ in range(nodes)]
    cluster.wait_for_nodes()
    killed: list[int] = []

    def kill_one(store: Store) -> None:
        if not kill or killed:
            return
        done, at_work = store.dues.counts().get("done", 0), in_the_middle(store)
        if done >= cameras // 4 and at_work == nodes:
            killed.append(done)
            cluster.remove_node(added[-1], allow_graceful=False)

    try:
        with tempfile.TemporaryDirectory() as folder:
            path = configure(Path(folder), cameras, cluster.address)
            settings = load_config(path).service
            found = run(path, RayExecutor(settings, workers=1), kill_one)
    finally:
        cluster.shutdown()
    return found | {"killed_when_done": killed[0] if killed else None}


def in_the_middle(store: Store) -> int:
    """Nights that run and have a first stage behind them."""
    running = [night for night in store.nights() if night.state == "running"]
    return sum(store.stage_result(night.id, "ingest") is not None for night in running)


def on_local(cameras: int) -> dict[str, Any]:
    """The same through `local`."""
    with tempfile.TemporaryDirectory() as folder:
        return run(configure(Path(folder), cameras, None), LocalExecutor(2))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cameras", type=int, default=16)
    count = parser.parse_args().cameras
    runs = {}
    for name, start in (
        ("two_nodes_one_killed", lambda: on_ray(count, nodes=2, kill=True)),
        ("two_nodes", lambda: on_ray(count, nodes=2)),
        ("one_node", lambda: on_ray(count, nodes=1)),
        ("local", lambda: on_local(count)),
    ):
        runs[name] = start()
        print(name, {k: v for k, v in runs[name].items() if k != "models"}, flush=True)
    models = [found.pop("models") for found in runs.values()]
    result = {
        "cameras": count,
        "same_models": all(m == models[0] and None not in m.values() for m in models),
        "faster_than_one_node": round(
            runs["one_node"]["seconds"] / runs["two_nodes"]["seconds"], 2
        ),
        "runs": runs,
    }
    (RESULTS / "ray.json").write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
