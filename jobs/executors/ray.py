"""Runs nights on a Ray cluster: one of this machine's own, or one that runs already.

All machines read the same configuration file and share `data_dir` and the database. If a worker or
node dies, Ray restarts its night, which goes on at its first unfinished stage.
"""

from __future__ import annotations

import logging
import os
import signal
from typing import Any

from jobs.config.service import ServiceSettings
from jobs.errors import EXIT_INTERRUPTED, EXIT_NIGHT, ConfigError
from jobs.executors.base import Outcome, Task
from models.without_compiler import spare_the_compiler

logger = logging.getLogger(__name__)

RETRIES = 3
"""How often Ray restarts a night after a worker or node has died."""
STOP_S = 30.0
"""How long nights get to note that they were interrupted."""
HERE = "127.0.0.1"


class RayExecutor:
    """One Ray task per camera-night, with the configured CPUs and GPUs."""

    def __init__(self, settings: ServiceSettings, *, workers: int) -> None:
        self._ray = _import_ray()
        self._connect(settings.ray_address)
        cpus, gpus = settings.cpus_per_night or workers, settings.gpus_per_night
        self.slots = self._slots(settings.nights_at_once, cpus=cpus, gpus=gpus)
        self._remote = self._ray.remote(_run).options(
            num_cpus=cpus, num_gpus=gpus, max_retries=RETRIES, scheduling_strategy="SPREAD"
        )
        self._json_logs = settings.logs == "json"
        self._running: dict[Any, Task] = {}
        self._over: list[Outcome] = []

    def start(self, task: Task) -> None:
        """Hand a night to the cluster."""
        self._running[self._remote.remote(task, json_logs=self._json_logs)] = task

    def finished(self) -> list[Outcome]:
        """The nights that have ended."""
        over, self._over = self._over, []
        return over + self._collect(wait_s=0)

    def stop(self) -> None:
        """Interrupt all nights and disconnect from the cluster."""
        for reference in self._running:
            self._ray.cancel(reference)
        self._over += self._collect(wait_s=STOP_S)
        self._running.clear()
        self._ray.shutdown()

    def _collect(self, *, wait_s: float) -> list[Outcome]:
        running = list(self._running)
        if not running:
            return []
        done, _ = self._ray.wait(running, num_returns=len(running), timeout=wait_s)
        return [self._ended(reference) for reference in done]

    def _connect(self, address: str | None) -> None:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # nothing leaves this machine
        before = signal.getsignal(signal.SIGTERM)
        options = {} if address else {"_node_ip_address": HERE, "include_dashboard": False}
        try:
            self._ray.init(
                address=address or "local",
                log_to_driver=False,
                logging_level=logging.ERROR,
                **options,
            )
        except (ConnectionError, ValueError, RuntimeError) as error:
            message = (
                f"service.ray_address: {address}: no Ray cluster answers there: start one with "
                "`ray start --head`, or leave the address out for one of this machine's own"
            )
            raise ConfigError(message) from error
        finally:
            signal.signal(signal.SIGTERM, before)  # Ray has replaced the handler

    def _slots(self, at_once: int | str, *, cpus: float, gpus: float) -> int:
        """How many nights run at once: as many as the cluster has room for, or as configured."""
        nodes = [node["Resources"] for node in self._ray.nodes() if node["Alive"]]
        fitting = [_fitting_on(node, cpus=cpus, gpus=gpus) for node in nodes]
        if sum(fitting) == 0:
            self._ray.shutdown()
            most = max((node.get("CPU", 0) for node in nodes), default=0)
            message = (
                f"service.cpus_per_night, gpus_per_night: got {cpus:g} CPUs and {gpus:g} GPUs, "
                f"must be what one machine of the Ray cluster has: the largest has {most:g} CPUs"
            )
            raise ConfigError(message)
        return sum(fitting) if at_once == "auto" else int(at_once)

    def _ended(self, reference: Any) -> Outcome:
        task = self._running.pop(reference)
        try:
            outcome: Outcome = self._ray.get(reference)
        except self._ray.exceptions.TaskCancelledError:
            return Outcome(task.due_id, error="interrupted", exit_code=EXIT_INTERRUPTED)
        except self._ray.exceptions.RayError as error:
            reason = str(getattr(error, "cause", None) or error).strip().splitlines()[0]
            text = f"its Ray task was lost: {reason}"
            return Outcome(task.due_id, error=text, exit_code=EXIT_NIGHT, lost=True)
        return outcome


def _fitting_on(node: dict[str, float], *, cpus: float, gpus: float) -> int:
    """How many nights fit on a machine."""
    by_cpus = node.get("CPU", 0.0) // cpus
    return int(min(by_cpus, node.get("GPU", 0.0) // gpus) if gpus else by_cpus)


def _run(task: Task, *, json_logs: bool) -> Outcome:
    spare_the_compiler()
    from jobs.executors.task import log_nights, run_task

    log_nights(as_json=json_logs)
    try:
        return run_task(task)
    except KeyboardInterrupt:
        return Outcome(task.due_id, error="interrupted", exit_code=EXIT_INTERRUPTED)


def _import_ray() -> Any:
    try:
        import ray
    except ModuleNotFoundError as error:
        message = "service.executor: ray needs an extra: pip install 'culling-pipeline[ray]'"
        raise ConfigError(message) from error
    return ray
