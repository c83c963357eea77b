"""Makes reference.npz: what an independent implementation (RapidOCR 3.10.0) computes from made input.

Run once, in an environment of its own:

    pip install rapidocr==3.10.0 onnxruntime && python make.py

The inputs are drawn from a seed and stored beside the outputs, so that tests need neither that package nor
fonts.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from rapidocr.ch_ppocr_cls.main import TextClassifier
from rapidocr.ch_ppocr_det.utils import DBPostProcess
from rapidocr.ch_ppocr_rec.main import TextRecognizer
from rapidocr.ch_ppocr_rec.utils import CTCLabelDecode
from rapidocr.utils.process_img import get_rotate_crop_image

HERE = Path(__file__).parent
CHARSET = [chr(c) for c in range(33, 127)]


def probability_map(rng: np.random.Generator) -> np.ndarray:
    """Soft rectangles at several angles and strengths: some to be kept, others too weak or too small."""
    canvas = np.zeros((256, 384), np.float32)
    for row in range(8):
        for column in range(2):
            center = (96 + 190 * column, 20 + 30 * row)
            size = (rng.uniform(8, 150), rng.uniform(3, 14))
            corners = cv2.boxPoints((center, size, rng.uniform(-12, 12)))
            layer = np.zeros_like(canvas)
            cv2.fillPoly(layer, [corners.astype(np.int32)], float(rng.uniform(0.55, 1.0)))
            canvas = np.maximum(canvas, cv2.GaussianBlur(layer, (3, 3), 0.6))
    return (canvas + 0.02).astype(np.float16).astype(np.float32)


def main() -> None:
    rng = np.random.default_rng(2009)
    arrays: dict[str, np.ndarray] = {}

    probability = probability_map(rng)
    post_process = DBPostProcess(thresh=0.3, box_thresh=0.6, unclip_ratio=1.5)
    boxes, scores = post_process(probability[None, None], (512, 800))
    arrays |= {"map": probability.astype(np.float16), "boxes": np.array(boxes), "scores": np.array(scores)}

    noise = rng.integers(0, 256, (20, 30, 3), np.uint8)
    image = cv2.resize(noise, (300, 200), interpolation=cv2.INTER_CUBIC)
    quads = np.array(
        [
            [[10, 20], [120, 20], [120, 50], [10, 50]],
            [[150, 40], [280, 60], [276, 90], [146, 70]],
            [[30, 80], [60, 84], [50, 190], [20, 186]],
        ],
        np.float32,
    )
    crops = [get_rotate_crop_image(image, quad) for quad in quads]
    arrays |= {"image": image, "quads": quads} | {f"crop_{i}": crop for i, crop in enumerate(crops)}

    classifier = TextClassifier.__new__(TextClassifier)
    classifier.cls_image_shape = [3, 48, 192]
    arrays["direction"] = classifier.resize_norm_img(crops[0])
    recognizer = TextRecognizer.__new__(TextRecognizer)
    recognizer.rec_image_shape = [3, 48, 320]
    arrays["recognition"] = recognizer.resize_norm_img(crops[1], 320 / 48)

    logits = rng.normal(0, 3, (4, 24, len(CHARSET) + 2)).astype(np.float32)
    logits[:, :, 0] += 5
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=2, keepdims=True)
    read, _ = CTCLabelDecode(character=list(CHARSET))(probabilities)
    arrays |= {
        "probabilities": probabilities.astype(np.float32),
        "texts": np.array([text for text, _ in read]),
        "confidences": np.array([confidence for _, confidence in read]),
    }
    np.savez_compressed(HERE / "reference.npz", **arrays)


if __name__ == "__main__":
    main()
