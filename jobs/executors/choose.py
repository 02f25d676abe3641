"""Opens the executor that the configuration names."""

from __future__ import annotations

from jobs.config.settings import Config
from jobs.executors.base import Executor
from jobs.executors.local import LocalExecutor


def configured_executor(config: Config) -> Executor:
    """The configured executor. Raises `ConfigError` if an extra is missing or a cluster does not
    answer."""
    settings = config.service
    if settings.executor == "ray":
        from jobs.executors.ray import RayExecutor

        return RayExecutor(settings, workers=config.workers)
    gpus = _gpus() if config.device != "cpu" else 0
    slots = max(1, gpus) if settings.nights_at_once == "auto" else settings.nights_at_once
    return LocalExecutor(slots, gpus=gpus, json_logs=settings.logs == "json")


def _gpus() -> int:
    import torch

    return int(torch.cuda.device_count())
