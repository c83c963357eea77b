"""Text recognition: crops in, texts out (CRNN and its successors, decoded by CTC; PP-OCR section 2.3)."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice

import numpy as np
import numpy.typing as npt

from models import ctc
from models.beam import CANDIDATES, SURE, BeamSearch
from models.bundle import RecognitionSpec
from models.cells import cells, parts
from models.doubt import has_hole, marked_together, mixes_case
from models.geometry import LONG, fit_height, inset, quarter_turn, runs_down, turn
from models.language import Language
from models.records import Image, Line, Page, Quad, Word
from models.session import Normalizer, Session
from models.stacks import unstacked
from models.words import extents, spans

BATCH_COLUMNS = 2560
"""Pixel columns that enter the model at once: enough to amortise a call, few enough to stay in the caches."""
UNSURE = 0.7
"""Mean confidence under which a line is looked at in other ways too: upright text is mostly read surer."""
TALL = 1.5
"""A crop this many times taller than wide may hold a word that was not turned ..."""
WORD = 3
"""... where at least this many letters are read in it: a 5 that lies on its side is surely read, as LO."""
OVERLAP = 4
"""Heights of a line that both parts of one see which is longer than the model's last width: a few letters."""


@dataclass(frozen=True, slots=True)
class _Seen:
    """What the model sees in a crop, or in a part of one.

    Attributes:
        candidates: of each step, padding included.
        steps: how many the crop takes, padding left out.
    """

    candidates: ctc.Candidates
    steps: float


_Read = tuple[ctc.Reading, float]
"""What a line says, and how many steps it takes, padding left out."""


def _sure(reading: ctc.Reading) -> float:
    """The mean probability of the characters; 0 where there are none."""
    probabilities = reading.confidences
    # What mean() says, at a quarter of its time: a line has few characters, and a page many lines.
    return float(probabilities.sum() / len(probabilities)) if reading.text else 0.0


def other_views(line: Line) -> list[Line]:
    """Other ways in which a line may have to be looked at; none for those whose shape and place tell enough.

    A crop taller than wide may hold a word that runs up or down, as labels of axes do, where the page's other
    lines do not. A line that runs down the page may be a stack of upright letters.
    """
    if line.crop is None:
        return []
    height, width = line.crop.shape[:2]
    cut_out = replace(turn(line) if line.direction == 180 else line, direction=0, direction_confidence=None)
    if height >= TALL * width:
        turned = quarter_turn(cut_out)
        return [turned, replace(turn(turned), direction=180)]
    stack = unstacked(cut_out) if width >= LONG * height and runs_down(line) else None
    return [stack] if stack else []


def part_starts(columns: int, most: int, overlap: int) -> range:
    """Where the parts of a crop begin: each has `most` columns, the last one the rest.

    Args:
        columns: of the crop.
        most: columns that the model takes.
        overlap: columns that a part shares with the next one; half a part at most.
    """
    step = most - min(overlap, most // 2)
    return range(0, max(1, columns - (most - step)), step)


class Recognizer:
    """Fills the lines' texts and confidences, drops their crops, and the lines that are most likely no text.

    It also marks the lines that need review; with a `review_threshold` of 0 none, for whatever reason.

    Each crop is padded to the narrowest of a few fixed widths that holds it, or squeezed a little to fit into
    the one before where the bundle allows that, whatever else is in its batch: so a page reads the same alone
    and among others, and the engine sees a bounded number of shapes. A crop longer than the last width is
    read in parts that overlap: a line of any length takes the memory of one as long as that.

    Args:
        spec: height, widths, charset, least confidence.
        session: the model.
        chars: whether to fill the lines' `chars`.
        language: how likely characters follow each other; None: each step is decided by itself.
        words: whether to fill the lines' `words`.
    """

    def __init__(
        self,
        spec: RecognitionSpec,
        session: Session,
        chars: bool = False,
        language: Language | None = None,
        words: bool = False,
    ) -> None:
        self.spec = spec
        self.chars = chars
        self.words = words
        self._session = session
        self._search = (
            BeamSearch(language, spec.charset, spec.language_weight, spec.language_bonus)
            if language
            else None
        )
        self._normalize = Normalizer(spec)

    def __call__(self, pages: Sequence[Page]) -> list[Page]:
        """Reads each page's lines, cuts them where cells meet, and drops those with no or too unsure a text.

        Raises:
            ValueError: a line has no crop.
        """
        return [
            replace(page, lines=marked_together([line for line in page.lines if is_text(line, self.spec)]))
            for page in self.read_pages(pages)
        ]

    def read_pages(self, pages: Sequence[Page]) -> list[Page]:
        """Reads each page's lines, cuts them where cells meet, and keeps all of them.

        Raises:
            ValueError: a line has no crop.
        """
        lines = [line for page in pages for line in page.lines]
        read = iter(
            [self._cells(line, *read) for line, read in self._looked_again(lines, self._readings(lines))]
        )
        return [replace(page, lines=tuple(chain(*islice(read, len(page.lines))))) for page in pages]

    def _looked_again(self, lines: Sequence[Line], readings: Sequence[_Read]) -> Iterator[tuple[Line, _Read]]:
        """Lines and what they say; of those read unsurely the view that is read most surely."""
        others = [
            other_views(line) if _sure(reading) < UNSURE else []
            for line, (reading, _) in zip(lines, readings, strict=True)
        ]
        views = [view for of_line in others for view in of_line]
        again = iter(zip(views, self._readings(views), strict=True))
        for line, read, of_line in zip(lines, readings, others, strict=True):
            words = [view for view in islice(again, len(of_line)) if len(view[1][0].text) >= WORD]
            yield max([(line, read), *words], key=lambda view: _sure(view[1][0]))

    def read(self, lines: Sequence[Line]) -> list[Line]:
        """Reads lines of any pages, and keeps all of them as they are.

        Raises:
            ValueError: a line has no crop.
        """
        return [
            self._filled(self._worded(line, *read), *read)
            for line, read in zip(lines, self._readings(lines), strict=True)
        ]

    def _readings(self, lines: Sequence[Line]) -> list[_Read]:
        spec, last = self.spec, self.spec.widths[-1]
        gray = spec.color == "gray"
        crops = [fit_height(line, spec.height, spec.widths, gray, spec.squeeze) for line in lines]
        starts = [part_starts(crop.shape[1], last, OVERLAP * spec.height) for crop in crops]
        parts = [
            crop[:, start : start + last]
            for crop, of_crop in zip(crops, starts, strict=True)
            for start in of_crop
        ]
        seen = iter(self._seen(parts))
        joined = [self._joined(list(islice(seen, len(of_crop))), of_crop) for of_crop in starts]
        decided = self._decided([line.candidates for line in joined])
        readings = ctc.decode_lines(decided, spec.charset)
        return [(reading, line.steps) for reading, line in zip(readings, joined, strict=True)]

    def _seen(self, parts: Sequence[Image]) -> list[_Seen]:
        seen = dict[int, _Seen]()
        for width, members in self._batches(parts):
            classes, probabilities = self._candidates([parts[i] for i in members], width)
            for row, i in enumerate(members):
                steps = classes.shape[1] * parts[i].shape[1] / width
                seen[i] = _Seen((classes[row], probabilities[row]), steps)
        return [seen[i] for i in range(len(parts))]

    def _joined(self, parts: Sequence[_Seen], starts: range) -> _Seen:
        if len(parts) == 1:
            return parts[0]
        steps_a_column = parts[0].steps / self.spec.widths[-1]
        begins = [round(start * steps_a_column) for start in starts]
        candidates = ctc.join([part.candidates for part in parts], begins)
        return _Seen(candidates, begins[-1] + parts[-1].steps)

    def _decided(self, lines: Sequence[ctc.Candidates]) -> list[ctc.Decided]:
        """One class of each step, by a language's help where there is one."""
        if self._search:
            return self._search(lines)
        return [(classes[:, 0], probabilities[:, 0]) for classes, probabilities in lines]

    def _cells(self, line: Line, reading: ctc.Reading, steps: float) -> list[Line]:
        assert line.crop is not None  # it has been read
        height, width = line.crop.shape[:2]
        line = replace(line, needs_review=has_hole(line.crop, noticed(reading, steps)))
        line = self._worded(line, reading, steps)
        length = width / height * (1 + 2 * self.spec.margin)  # of the crop, in heights of the line
        found = cells(reading, steps, steps / length, self.spec.cell_gap)
        if len(found) == 1:
            return [self._filled(line, reading, steps)]
        pieces, left = [], iter(line.words or ())
        places = np.array([(cell.begin, cell.end) for cell in found]) / steps
        for cell, polygon in zip(found, self._parts(line, places), strict=True):
            words = None if line.words is None else tuple(islice(left, len(list(spans(cell.reading.text)))))
            piece = replace(line, polygon=polygon, words=words)
            pieces.append(self._filled(piece, cell.reading, cell.end - cell.begin))
        return pieces

    def _worded(self, line: Line, reading: ctc.Reading, steps: float) -> Line:
        """The line with its words, where they are asked for."""
        if not self.words:
            return line
        assert line.crop is not None  # it has been read
        found = list(spans(reading.text))
        polygons = self._parts(line, extents(found, reading, steps, line.crop)) if found else ()
        words = (
            Word(
                text=reading.text[span.start : span.stop],
                confidence=judged(reading.confidences[span.start : span.stop], self.spec)[0],
                polygon=polygon,
            )
            for span, polygon in zip(found, polygons, strict=True)
        )
        return replace(line, words=tuple(words))

    def _parts(self, line: Line, places: npt.NDArray[np.float64]) -> Quad:
        """The parts of a line's polygon between fractions of its crop's length: (N, 2) to (N, 4, 2)."""
        assert line.crop is not None  # it has been read
        air = inset(line.crop, self.spec.margin)
        return parts(line.polygon, (places - air) / (1 - 2 * air))

    def _filled(self, line: Line, reading: ctc.Reading, steps: float) -> Line:
        reading = ctc.tidy(reading)
        confidence, unsure = judged(reading.confidences, self.spec) if reading.text else (0.0, True)
        marked = line.needs_review or unsure or mixes_case(reading.text)
        return replace(
            line,
            crop=None,
            text=reading.text,
            confidence=confidence,
            probability=_sure(reading),
            needs_review=marked and self.spec.review_threshold > 0,
            chars=ctc.extents(reading, steps) if self.chars else None,
            recognizer=1,
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

    def _candidates(self, crops: Sequence[Image], width: int) -> ctc.Candidates:
        """The best classes of each step and their probabilities, both (N, T, K)."""
        tensor = np.zeros((len(crops), len(self.spec.mean), self.spec.height, width), np.float32)
        for crop, row in zip(crops, tensor, strict=True):
            self._normalize(crop, row[:, :, : crop.shape[1]])
        outputs = self._session.run(tensor)
        if self.spec.output == "candidates":
            return outputs[0], outputs[1]
        if self.spec.output == "decision":
            return outputs[0][..., None], outputs[1][..., None]
        return best_classes(outputs[0], CANDIDATES if self._search else 1)


def best_classes(probabilities: npt.NDArray[np.float32], count: int) -> ctc.Candidates:
    """The best classes of each step of lines (N, T, classes), best first, and their probabilities.

    Args:
        probabilities: of classes.
        count: classes of a step, K of (N, T, K). A sure step has its best one K times, all but the first one
            with a probability of 0: finding the others takes time where there are thousands of classes.
    """
    best = probabilities.argmax(axis=2)[..., None]
    likely = np.take_along_axis(probabilities, best, 2)
    if count == 1:
        return best, likely
    count = min(count, probabilities.shape[2])
    classes, found = (np.repeat(each, count, 2) for each in (best, likely))
    found[..., 1:] = 0
    unsure = likely[..., 0] <= SURE
    rows = probabilities[unsure]
    some = np.argpartition(-rows, count - 1, axis=1)[:, :count]
    some.sort(axis=1)  # equal ones in the order of their classes, as argmax has them
    order = np.argsort(-np.take_along_axis(rows, some, 1), axis=1, kind="stable")
    classes[unsure] = np.take_along_axis(some, order, 1)
    found[unsure] = np.take_along_axis(rows, classes[unsure], 1)
    return classes, found


def is_text(line: Line, spec: RecognitionSpec) -> bool:
    """Whether a line that was read holds text, as sure as a recogniser has to be of it."""
    return bool(line.text.strip()) and line.probability >= spec.min_confidence


def noticed(reading: ctc.Reading, steps: float) -> list[float]:
    """Where the characters of a line but spaces were noticed, as fractions of its length.

    Args:
        reading: the line.
        steps: how many steps its crop takes, padding left out.
    """
    places = np.minimum((reading.steps + 0.5) / steps, 1.0).tolist()
    return [place for place, char in zip(places, reading.text, strict=True) if char != " "]


def judged(probabilities: npt.NDArray[np.float32], spec: RecognitionSpec) -> tuple[float, bool]:
    """A line's confidence, and whether it needs review.

    Args:
        probabilities: of its characters, (n,), n at least 1.
        spec: calibration and threshold.
    """
    if not spec.calibrated:
        return float(probabilities.sum() / len(probabilities)), bool(
            probabilities.min() < spec.review_threshold
        )
    chance = ctc.chance(ctc.certainty(probabilities), spec.confidence_scale, spec.confidence_shift)
    return chance, chance < spec.review_threshold
