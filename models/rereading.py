"""A second recogniser reads the lines again of which the first is not sure; of two readings one stands."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from models.bundle import RecognitionSpec
from models.ctc import log_odds
from models.doubt import marked_together
from models.geometry import recut
from models.recognition import Recognizer, is_text
from models.records import Line, Page

FAVOUR = 1.0
"""What is added to the log odds of the second reading: where one recogniser is unsure, a larger one is right
more often than both say. docs/performance.md has other values' figures."""


class Rereader:
    """Asks a second recogniser, keeps the better reading, and drops lines that are most likely no text.

    Each line that is asked for is cut out of its page anew, as the second recogniser wants it.

    Args:
        first: of the recogniser that has read the lines.
        second: reads a line as one, whatever it says.
        below: a line is asked for where its confidence is less.
    """

    def __init__(self, first: RecognitionSpec, second: Recognizer, below: float) -> None:
        self._first = first
        self._second = second
        self._below = below

    def __call__(self, pages: Sequence[Page]) -> list[Page]:
        """Reads lines of pages again that have kept their images, and drops the images.

        Raises:
            ValueError: a page has no image.
        """
        again = self._second.read_pages([self._asked(page) for page in pages])
        return [self._settled(page, read.lines) for page, read in zip(pages, again, strict=True)]

    def _asked(self, page: Page) -> Page:
        spec = self._second.spec
        lines = tuple(line for line in page.lines if self._asks(line))
        return recut(replace(page, lines=lines), spec.margin, spec.color == "gray", spec.least_height)

    def _asks(self, line: Line) -> bool:
        return line.confidence < self._below

    def _settled(self, page: Page, again: Sequence[Line]) -> Page:
        seconds = iter(again)
        lines = [self._better(line, next(seconds)) if self._asks(line) else line for line in page.lines]
        specs = {1: self._first, 2: self._second.spec}
        kept = [line for line in lines if is_text(line, specs[line.recognizer])]
        return replace(page, image=None, lines=marked_together(kept))

    def _better(self, first: Line, second: Line) -> Line:
        """The reading that is text, where but one is, else the surer one; with the other's confidence."""
        text = is_text(second, self._second.spec)
        surer = log_odds(second.confidence) + FAVOUR >= log_odds(first.confidence)
        if surer if text == is_text(first, self._first) else text:
            return replace(second, recognizer=2, other_confidence=first.confidence)
        return replace(first, other_confidence=second.confidence)
