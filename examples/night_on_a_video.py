"""One whole night on a video file, through the Python interface.

    python examples/night_on_a_video.py [VIDEO]

Without VIDEO a short one of a synthetic street is made first. Real footage needs a real teacher:
docs/guide/detectors.md.
"""

import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from culling_pipeline.records.night import NightRecord
from culling_pipeline.run.progress import NoProgress
from jobs.config.settings import CameraConfig, Config
from jobs.database.store import open_store
from jobs.exports.video import VideoWriter
from jobs.nights.nightly import retrain_camera
from streams.open import open_source
from streams.sampler import Sampler


def make_video(path: Path) -> None:
    """Two minutes of a synthetic street, one frame a second."""
    street = "synthetic://street?seed=7&hours=1&start=12&width=160&height=96"
    with open_source(street, camera="street") as source, VideoWriter(path) as video:
        for number, frame in enumerate(source.frames(Sampler(30.0))):
            video.add(frame.image, float(number))


def run_night(video: Path, data_dir: Path) -> NightRecord:
    """A small night: eight frames kept, two epochs."""
    settings = {
        "name": "yard",
        "source": str(video),
        "classes": ["person", "car", "bicycle"],
        "culling": {"keep": 8, "survivors_ratio": 3},
        "training": {"epochs": 2},
    }
    camera = CameraConfig.model_validate(settings)
    config = Config(data_dir=data_dir, workers=1, cameras={"yard": camera})
    with open_store(config) as store:
        record = retrain_camera(config, "yard", store=store, progress=NoProgress())
    assert isinstance(record, NightRecord)  # the other kind: the lens was moved or covered
    return record


def main() -> None:
    """Run the night and print what came of it."""
    with TemporaryDirectory() as folder:
        video = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(folder) / "yard.mp4"
        if not video.exists():
            make_video(video)
        record = run_night(video, Path(folder) / "data")
        judge = record.judge
        print(f"{record.ingest.frames_seen} frames seen, {len(record.cull.kept)} kept")
        before, after = judge.before.score, judge.after.score
        print(f"{after.metric} {before.value:.3f} → {after.value:.3f} on the control slice")
        print(f"promoted: {judge.promoted}, because {judge.reason}")


if __name__ == "__main__":
    main()
