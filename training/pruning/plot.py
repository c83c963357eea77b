"""The sensitivity as a picture: a row a layer, a column a share, redder where more is lost."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np

from training.pruning.sensitivity import SHARES, Sensitivity

ROW, CELL, LABEL, TOP = 26, 84, 330, 58
FONT = cv2.FONT_HERSHEY_SIMPLEX
INK, MARK = (40, 40, 40), (160, 90, 0)


def plot_sensitivity(sensitivity: Sensitivity, shares: Mapping[str, float], path: Path) -> None:
    """Writes a PNG.

    Args:
        sensitivity: the numbers in the cells: the score lost.
        shares: what was chosen for each layer, marked by a bar across its row.
        path: to write.
    """
    width, height = LABEL + CELL * len(SHARES) + 110, TOP + ROW * len(sensitivity.losses) + 14
    image = np.full((height, width, 3), 255, np.uint8)
    _write(image, f"score lost of {sensitivity.score:.3f} when a layer loses a share of its channels", 8, 20)
    for column, share in enumerate(SHARES):
        _write(image, f"{share:.1%}", LABEL + column * CELL + 16, TOP - 10)
    _write(image, "chosen", LABEL + CELL * len(SHARES) + 20, TOP - 10, MARK)
    worst = max(0.02, max(max(losses) for losses in sensitivity.losses.values()))
    for row, (name, losses) in enumerate(sensitivity.losses.items()):
        top = TOP + row * ROW
        _write(image, name, 8, top + 18)
        for column, loss in enumerate(losses):
            left = LABEL + column * CELL
            depth = min(1.0, max(0.0, loss) / worst) ** 0.5
            color = (235 - 175 * depth, 240 - 150 * depth, 250.0)
            cv2.rectangle(image, (left + 1, top + 1), (left + CELL - 2, top + ROW - 2), color, -1)
            _write(image, f"{loss:.3f}", left + 20, top + 18)
        reach = LABEL + round(CELL * len(SHARES) * shares.get(name, 0.0) / SHARES[-1])
        cv2.rectangle(image, (LABEL, top + ROW - 4), (max(LABEL, reach - 2), top + ROW - 2), MARK, -1)
        _write(image, f"{shares.get(name, 0.0):.1%}", LABEL + CELL * len(SHARES) + 24, top + 18, MARK)
    cv2.imwrite(str(path), image)


def _write(image: np.ndarray, text: str, left: int, bottom: int, color: tuple[int, int, int] = INK) -> None:
    cv2.putText(image, text, (left, bottom), FONT, 0.45, color, 1, cv2.LINE_AA)
