"""Text recognition: crops in, texts out (CRNN and its successors, decoded by CTC; PP-OCR section 2.3)."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import chain, islice

import numpy as np
import numpy.typing as npt

from models import ctc
from models.bundle import RecognitionSpec
from models.cells import cells, part
from models.geometry import fit_height
from models.records import Image, Line, Page
from models.session import Normalizer, Session

BATCH_COLUMNS = 2560
"""Pixel columns that enter the model at once: enough to amortise a call, few enough to stay in the caches."""


class Recognizer:
    """Fills the lines' texts and confidences, marks those that need review, drops their crops and what is no text.

    Each crop is padded to the narrowest of a few fixed widths that holds it, or squeezed a little to fit into
    the one before where the bundle allows that, whatever else is in its batch: so a page reads the same alone
    and among others, and the engine sees a bounded number of shapes.

    Args:
        spec: height, widths, charset, least confidence.
        session: the model.
        chars: whether to fill the lines' `chars`.
    """

    def __init__(self, spec: RecognitionSpec, session: Session, chars: bool = False) -> None:
        self.spec = spec
        self.chars = chars
        self._session = session
        self._normalize = Normalizer(spec)

    def __call__(self, pages: Sequence[Page]) -> list[Page]:
        """Reads each page's lines, cuts them where cells meet, and drops those with no or too unsure a text.

        Raises:
            ValueError: a line has no crop.
        """
        lines = [line for page in pages for line in page.lines]
        read = iter(
            [self._cells(line, *read) for line, read in zip(lines, self._readings(lines), strict=True)]
        )
        return [
            replace(page, lines=tuple(filter(self._is_text, chain(*islice(read, len(page.lines))))))
            for page in pages
        ]

    def _is_text(self, line: Line) -> bool:
        return bool(line.text.strip()) and line.confidence >= self.spec.min_confidence

    def read(self, lines: Sequence[Line]) -> list[Line]:
        """Reads lines of any pages, and keeps all of them as they are.

        Raises:
            ValueError: a line has no crop.
        """
        return [self._filled(line, *read) for line, read in zip(lines, self._readings(lines), strict=True)]

    def _readings(self, lines: Sequence[Line]) -> list[tuple[ctc.Reading, float]]:
        """What lines say, and how many steps they take, padding left out."""
        spec = self.spec
        gray = spec.color == "gray"
        crops = [fit_height(line, spec.height, spec.widths, gray, spec.squeeze) for line in lines]
        read = dict[int, tuple[ctc.Reading, float]]()
        for width, members in self._batches(crops):
            classes, probabilities = self._decide([crops[i] for i in members], width)
            if spec.calibrated:
                probabilities = ctc.calibrated(probabilities, spec.confidence_scale, spec.confidence_shift)
            readings = ctc.decode(classes, probabilities, spec.charset)
            for reading, i in zip(readings, members, strict=True):
                read[i] = reading, classes.shape[1] * crops[i].shape[1] / width
        return [read[i] for i in range(len(lines))]

    def _cells(self, line: Line, reading: ctc.Reading, steps: float) -> list[Line]:
        assert line.crop is not None  # it has been read
        height, width = line.crop.shape[:2]
        air = self.spec.margin
        length = width / height * (1 + 2 * air)  # of the crop, in heights of the line
        found = cells(reading, steps, steps / length, self.spec.cell_gap)
        if len(found) == 1:
            return [self._filled(line, reading, steps)]
        parts = []
        for cell in found:
            begin, end = (
                (step / steps * length - air) / (length - 2 * air) for step in (cell.begin, cell.end)
            )
            polygon = part(line.polygon, begin, end)
            parts.append(self._filled(replace(line, polygon=polygon), cell.reading, cell.end - cell.begin))
        return parts

    def _filled(self, line: Line, reading: ctc.Reading, steps: float) -> Line:
        confidences = reading.confidences
        return replace(
            line,
            crop=None,
            text=reading.text,
            # What mean() says, at a quarter of its time: a line has few characters, and a page many lines.
            confidence=float(confidences.sum() / len(confidences)) if reading.text else 0.0,
            needs_review=self._certainty(reading) < self.spec.review_threshold,
            chars=ctc.extents(reading, steps) if self.chars else None,
        )

    def _certainty(self, reading: ctc.Reading) -> float:
        """What review marks go by; 0 for an empty text."""
        if not reading.text:
            return 0.0
        # A network's own probabilities are no chances that could be multiplied.
        return (
            ctc.certainty(reading.confidences) if self.spec.calibrated else float(reading.confidences.min())
        )

    def _batches(self, crops: Sequence[Image]) -> Iterator[tuple[int, list[int]]]:
        """The fixed widths, and the indices of up to a batch of crops that go into each."""
        buckets: dict[int, list[int]] = defaultdict(list)
        for i, crop in enumerate(crops):
            buckets[self.spec.widths[bisect_left(self.spec.widths, crop.shape[1])]].append(i)
        for width, members in sorted(buckets.items()):
            size = max(1, BATCH_COLUMNS // width)
            for start in range(0, len(members), size):
                yield width, members[start : start + size]

    def _decide(
        self, crops: Sequence[Image], width: int
    ) -> tuple[npt.NDArray[np.integer], npt.NDArray[np.float32]]:
        """The best class of each step and its probability, both (N, T)."""
        tensor = np.zeros((len(crops), len(self.spec.mean), self.spec.height, width), np.float32)
        for crop, row in zip(crops, tensor, strict=True):
            self._normalize(crop, row[:, :, : crop.shape[1]])
        outputs = self._session.run(tensor)
        if self.spec.output == "decision":
            return outputs[0], outputs[1]
        classes = outputs[0].argmax(axis=2)
        return classes, np.take_along_axis(outputs[0], classes[:, :, None], axis=2)[:, :, 0]
