"""A student that `culling export` wrote, run without torch: numpy and onnxruntime or openvino.

    python run_exported.py MODEL.onnx FRAMES.npy      or MODEL.xml

FRAMES.npy holds N×H×W×3 uint8 RGB at the model's size. One line of JSON an image.
"""

import json
import sys
import time

import numpy as np


def open_onnx(path):
    """What runs the model, and what it says of itself."""
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    about = session.get_modelmeta().custom_metadata_map
    return lambda image: session.run(["boxes", "scores", "labels"], {"image": image}), about


def open_openvino(path):
    """The same for an OpenVINO IR."""
    import openvino

    core = openvino.Core()
    model = core.read_model(path)
    about = model.get_rt_info(["culling"]).value
    net = core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return lambda image: [net([image])[name] for name in ("boxes", "scores", "labels")], about


def main():
    """Reads the arguments, prints the boxes."""
    path, frames = sys.argv[1:3]
    run, about = (open_onnx if path.endswith(".onnx") else open_openvino)(path)
    about = {key: json.loads(str(word)) for key, word in about.items()}
    names, least = about["class_names"], about["min_score"]
    for image in np.load(frames):
        began = time.perf_counter()
        boxes, scores, labels = run(image.transpose(2, 0, 1).astype(np.float32))
        seconds = time.perf_counter() - began
        found = scores >= least
        line = {
            "boxes": boxes[found].tolist(),
            "scores": scores[found].tolist(),
            "classes": [names[label] for label in labels[found]],
            "seconds": seconds,
        }
        print(json.dumps(line))


if __name__ == "__main__":
    main()
