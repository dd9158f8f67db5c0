"""What is to be seen in frames, by a neural network: MobileNetV2 with SSD, trained on Open Images V4. It is the one
that MediaPipe's Objectron finds objects with."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Dict, List

import gg
import numpy as np
from ai_edge_litert.interpreter import Interpreter

#: Pixels of the network's input, a square.
SIDE = 300
#: Below this score nothing is reported.
SCORE = 0.4
#: Of two boxes of one kind that share more than this part of their area, the better one is reported.
OVERLAP = 0.4


def anchors() -> np.ndarray:
    """The boxes that the network's output is relative to: center and size, in parts of the frame. The parameters are
    those of the graph object_detection_oid_v4 of MediaPipe (SsdAnchorsCalculator)."""
    strides, low, high = (16, 32, 64, 128, 256, 512), 0.2, 0.95
    scales = [low + (high - low) * layer / (len(strides) - 1) for layer in range(len(strides))] + [1.0]
    boxes = []
    for layer, stride in enumerate(strides):
        if layer == 0:
            shapes = [(0.1, 1.0), (low, 2.0), (low, 0.5)]
        else:
            shapes = [(scales[layer], ratio) for ratio in (1.0, 2.0, 0.5, 3.0, 0.3333)]
            shapes.append(((scales[layer] * scales[layer + 1]) ** 0.5, 1.0))
        cells = -(-SIDE // stride)
        for row in range(cells):
            for column in range(cells):
                center = ((column + 0.5) / cells, (row + 0.5) / cells)
                boxes += [(*center, scale * ratio**0.5, scale / ratio**0.5) for scale, ratio in shapes]
    return np.array(boxes)


def corners(encoded: np.ndarray, anchor: np.ndarray) -> np.ndarray:
    """Left, top, right and bottom of boxes, in parts of the frame."""
    y, x = encoded[:, 0] / 10 * anchor[:, 3] + anchor[:, 1], encoded[:, 1] / 10 * anchor[:, 2] + anchor[:, 0]
    height, width = np.exp(encoded[:, 2] / 5) * anchor[:, 3], np.exp(encoded[:, 3] / 5) * anchor[:, 2]
    return np.clip(np.stack([x - width / 2, y - height / 2, x + width / 2, y + height / 2], axis=1), 0, 1)


def overlap(one: np.ndarray, other: np.ndarray) -> float:
    """The area that two boxes share, as a part of what they cover together."""
    sides = np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2])
    shared = float(np.prod(np.maximum(sides, 0)))
    both = float(np.prod(one[2:] - one[:2]) + np.prod(other[2:] - other[:2])) - shared
    return shared / both if both else 0.0


def best(scores: np.ndarray, boxes: np.ndarray, labels: List[str]) -> List[Dict[str, Any]]:
    """The objects of a frame, the surest first."""
    kinds = scores.argmax(axis=1)
    sure = scores.max(axis=1)
    kept: List[int] = []
    for index in np.argsort(-sure, kind="stable"):
        if sure[index] < SCORE:
            break
        if all(kinds[it] != kinds[index] or overlap(boxes[it], boxes[index]) <= OVERLAP for it in kept):
            kept.append(int(index))
    return [
        {
            "is": labels[kinds[it]],
            "score": round(float(sure[it]), 3),
            "box": [round(float(edge), 3) for edge in boxes[it]],
        }
        for it in kept
    ]


@gg.function
def detect(frames: Path, model: Path, labels: Path) -> List[List[Dict[str, Any]]]:
    """The objects in each frame of a file of raw frames, 300 times 300 pixels of 3 bytes each."""
    # One thread: with more, sums are made in another order, and so are a little different.
    network = Interpreter(str(model), num_threads=1)
    network.allocate_tensors()
    (given,) = network.get_input_details()
    encoded, classes = sorted(network.get_output_details(), key=lambda it: int(it["shape"][-1]))
    names, anchor = labels.read_text().splitlines(), anchors()
    found = []
    for frame in np.fromfile(frames, np.uint8).reshape(-1, SIDE, SIDE, 3):
        network.set_tensor(given["index"], frame[None].astype(np.float32) / 127.5 - 1)
        network.invoke()
        scores = 1 / (1 + np.exp(-network.get_tensor(classes["index"])[0].astype(np.float64)))
        scores[:, 0] = 0  # what is nothing
        found.append(best(scores, corners(network.get_tensor(encoded["index"])[0].astype(np.float64), anchor), names))
    return found
