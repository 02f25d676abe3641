"""Metrics for Prometheus, read from the store and from `ingest` at each scrape."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from jobs.database.store import Store

if TYPE_CHECKING:
    from jobs.watch.watch import CameraWatch


class CullingCollector(Collector):
    """All metrics of one service; labels are camera names and fixed words."""

    def __init__(
        self, store: Store, data_dir: Path, ingest: Callable[[], CameraWatch | None]
    ) -> None:
        self._store, self._data_dir, self._ingest = store, data_dir, ingest

    def collect(self) -> Iterator[Metric]:
        """The current figures."""
        yield from self._of_nights()
        yield from self._of_dues()
        service = self._ingest()
        if service is not None:
            yield from self._of_cameras(service)
        free = shutil.disk_usage(self._data_dir).free
        yield GaugeMetricFamily("culling_disk_free_bytes", "Free space in data_dir.", value=free)

    def _of_nights(self) -> Iterator[Metric]:
        map50 = GaugeMetricFamily(
            "culling_student_map50", "mAP50 of the student in use, last night.", labels=["camera"]
        )
        error = GaugeMetricFamily(
            "culling_student_count_error",
            "Mean absolute error of a counting student in use, last night.",
            labels=["camera"],
        )
        promoted = GaugeMetricFamily(
            "culling_night_promoted", "1 if the last night promoted.", labels=["camera"]
        )
        cost = GaugeMetricFamily(
            "culling_night_device_seconds", "Detector seconds, last night.", labels=["camera"]
        )
        ended = GaugeMetricFamily(
            "culling_night_finished_timestamp_seconds", "End of the last night.", labels=["camera"]
        )
        unfit = GaugeMetricFamily(
            "culling_lens_moved",
            "1 if the last night trained nothing, for the lens was moved or covered.",
            labels=["camera"],
        )
        drift = GaugeMetricFamily(
            "culling_drift", "1 if the last night raised an alarm of drift.", labels=["camera"]
        )
        for camera, night in self._store.latest_nights().items():
            if night.state == "done":
                unfit.add_metric([camera], float(night.unusable is not None))
            if night.finished_at is not None:
                ended.add_metric([camera], night.finished_at.timestamp())
            if night.figures is not None:
                f = night.figures
                score = f.score_after if f.promoted else f.score_before
                (map50 if f.metric == "mAP50" else error).add_metric([camera], score)
                promoted.add_metric([camera], float(f.promoted))
                cost.add_metric([camera], f.device_s)
                drift.add_metric([camera], float(f.drift is not None))
        yield from (map50, error, promoted, cost, ended, unfit, drift)

    def _of_dues(self) -> Iterator[Metric]:
        states = GaugeMetricFamily(
            "culling_nights", "Nights asked for, by state.", labels=["state"]
        )
        for state, count in self._store.dues.counts().items():
            states.add_metric([state], count)
        yield states

    def _of_cameras(self, service: CameraWatch) -> Iterator[Metric]:
        frames = CounterMetricFamily(
            "culling_frames", "Frames by what became of them.", labels=["camera", "what"]
        )
        up = GaugeMetricFamily(
            "culling_camera_up", "1 if the camera is live.", labels=["camera", "state"]
        )
        counts = GaugeMetricFamily(
            "culling_count", "Latest count of a counting camera.", labels=["camera"]
        )
        for name, feed in service.feeds.items():
            tally = feed.tally
            if (amount := feed.amount) is not None:
                counts.add_metric([name], amount)
            for what in ("seen", "scored", "dropped", "paused"):
                frames.add_metric([name, what], getattr(tally, what))
            condition = service.watchers[name].condition
            if condition is not None:
                up.add_metric([name, condition.state], float(condition.state == "live"))
        yield from (frames, up, counts)


def registry(collector: CullingCollector) -> CollectorRegistry:
    """The registry behind the page `/metrics`."""
    made = CollectorRegistry(auto_describe=False)
    made.register(collector)
    return made
