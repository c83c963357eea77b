"""The records that go through the job: a page, its lines, and what became of a page that failed.

A page starts as a decoded image and is filled stage by stage: detection gives its lines a polygon,
rectification a crop, direction classification an angle, recognition a text. Pixels are dropped as soon
as the last stage that needs them has run, so that what leaves a worker is a few kilobytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

Image = npt.NDArray[np.uint8]
"""uint8: (H, W, 3), channels blue, green, red (OpenCV's order), or (H, W), grey, where that is enough."""

Quad = npt.NDArray[np.float32]
"""float32, (4, 2), x and y in pixels of the upright page, clockwise from the text's top left corner."""


@dataclass(frozen=True, slots=True)
class Char:
    """One character of a line; `x0` and `x1` are fractions (0 to 1) along the line's reading direction."""

    text: str
    confidence: float
    x0: float
    x1: float


@dataclass(frozen=True, slots=True, eq=False)
class Word:
    """One word of a line; in Han and kana one character.

    Attributes:
        text: without spaces.
        confidence: the chance that the text is right, as of a line.
        polygon: where it stands on the upright page: the part of its line's polygon that it takes.
    """

    text: str
    confidence: float
    polygon: Quad


@dataclass(frozen=True, slots=True, eq=False)
class Line:
    """One line of text, filled stage by stage.

    Attributes:
        polygon: where the line stands on the upright page.
        detection_score: mean probability of text inside the polygon, 0 to 1.
        crop: the rectified pixels, (h, w) where the models take grey; present between rectification and
            recognition only.
        direction: 0, or 180 where the line was upside down and its crop was turned.
        direction_confidence: the classifier's probability of `direction`, or None where it was not asked.
        text: what was read.
        confidence: the chance that the text is right, by a calibrated bundle; by another, `probability`.
        probability: mean probability of the characters kept by CTC, 0 to 1; 0 for an empty text.
        needs_review: whether its confidence, or by a bundle that is not calibrated its least certain
            character, is under the threshold that the bundle has or that was asked for, or `models.doubt` has
            another reason; never where that threshold is 0.
        chars: per-character confidences and extents, where asked for.
        words: from the line's start to its end, where asked for.
        recognizer: which of the bundle's recognisers read the text, 1 or 2; 0: none has.
        other_confidence: of the other recogniser's reading, where both were asked.
    """

    polygon: Quad
    detection_score: float
    crop: Image | None = None
    direction: int = 0
    direction_confidence: float | None = None
    text: str = ""
    confidence: float = 0.0
    probability: float = 0.0
    needs_review: bool = False
    chars: tuple[Char, ...] | None = None
    words: tuple[Word, ...] | None = None
    recognizer: int = 0
    other_confidence: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Page:
    """One page of one file, filled stage by stage; it is the one element between reading and the sinks.

    Attributes:
        uri: the file it came from, as listed (`shard.tar#member` for a member of an archive).
        index: 0-based number of the page within its file.
        etag: the storage's version of the file, where it has one.
        byte_size: size of the encoded file in bytes.
        sha256: digest of the encoded file, lower-case hexadecimal.
        width: width of the upright page in square pixels, after EXIF orientation and before any reduction.
        height: likewise.
        image: the pixels, (h, w) where all models take grey; smaller than `width` x `height` where the
            decoder reduced them, dropped after rectification, or after rereading where there is a second
            recogniser.
        lines: the lines found so far, in reading order once the page is finished.
        damage: what of the page is missing or broken in its file, in one sentence; None: nothing, as far as
            that can be told.
        carried: what its row takes along of the file it came from, a JSON object; None: nothing.
        text_from: `image` where models read the lines; `pdf` where decoding took them from a PDF's text
            layer, so that there is no image.
    """

    uri: str = ""
    index: int = 0
    etag: str | None = None
    byte_size: int = 0
    sha256: str = ""
    width: int = 0
    height: int = 0
    image: Image | None = None
    lines: tuple[Line, ...] = ()
    damage: str | None = None
    carried: str | None = None
    text_from: Literal["image", "pdf"] = "image"

    @property
    def text(self) -> str:
        """The lines' texts, joined by line feeds."""
        return "\n".join(line.text for line in self.lines)


@dataclass(frozen=True, slots=True)
class Failure:
    """A page, or a whole file (`page` is None), that could not be read, and why.

    Attributes:
        uri: the file, as listed.
        page: 0-based page number, or None where the file as a whole failed.
        stage: the stage that failed: read, decode, detect, rectify, direction, recognize, reread, finish or
            row.
        kind: a short stable word for grouping, such as not_found, truncated, too_large, model_failure.
        message: one sentence for a person: what happened and what to do.
    """

    uri: str
    page: int | None
    stage: str
    kind: str
    message: str


class InputError(Exception):
    """Input that cannot be read: becomes a `Failure`, never stops a run.

    Args:
        kind: see `Failure.kind`.
        message: see `Failure.message`.
    """

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message


class UsageError(Exception):
    """Something the user asked for that cannot be done; printed as one line, exit status 2."""
