"""Score the frames of a day by L_conf, the student's unsureness, and print the hardest.

    python examples/hardest_frames.py [SOURCE]

SOURCE is a video file, a folder of images or a synthetic camera (the default).
"""

import heapq
import sys

from jobs.cameras.detectors import BUILTIN_FOLDER
from jobs.config.night import ConfidenceSettings
from models.boxes.student import load_detector
from streams.open import open_source
from streams.sampler import Sampler

SOURCE = "synthetic://street?seed=7&hours=24"
SECONDS_BETWEEN_FRAMES, HARDEST = 900.0, 10


def main() -> None:
    """Look at the day once and keep the ten hardest frames."""
    source = sys.argv[1] if len(sys.argv) > 1 else SOURCE
    student = load_detector(BUILTIN_FOLDER / "street-student.safetensors")
    plan = ConfidenceSettings().to_plan()
    scored = []
    with open_source(source, camera="example") as frames:
        for frame in frames.frames(Sampler(SECONDS_BETWEEN_FRAMES)):
            found = student.predict([frame.image])[0]
            objects = len(found.above(0.5))
            scored.append((plan.loss_of(found), objects, f"{frame.wall_time:%H:%M:%S}"))
    print(f"{len(scored)} frames scored; the hardest:")
    for loss, objects, time in heapq.nlargest(HARDEST, scored):
        print(f"{time} UTC  L_conf {loss:6.2f}  {objects} objects found")


if __name__ == "__main__":
    main()
