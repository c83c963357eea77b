"""Connectionist temporal classification: from one decision a step to a text (Graves et al. 2006)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.records import Char

BLANK = 0
_LEAST = 1e-6
"""How far a probability stays away from 0 and 1 where its logarithm or its odds are taken."""

Decided = tuple[npt.NDArray[np.integer], npt.NDArray[np.float32]]
"""The class of each step of a line and its probability, both (T,)."""
Candidates = tuple[npt.NDArray[np.integer], npt.NDArray[np.float32]]
"""The best classes of each step of a line and their probabilities, both (T, K), the best one first."""


@dataclass(frozen=True, slots=True)
class Reading:
    """A decoded line.

    Attributes:
        text: the characters.
        confidences: (len(text),) float32, the probability at the step where each character begins.
        steps: (len(text),) those steps; of a part of a line they may have a fraction.
    """

    text: str
    confidences: npt.NDArray[np.float32]
    steps: npt.NDArray[np.int64] | npt.NDArray[np.float64]


def decode(
    classes: npt.NDArray[np.integer], probabilities: npt.NDArray[np.float32], charset: Sequence[str]
) -> list[Reading]:
    """Collapses repeats and removes blanks, of all lines of a batch at once.

    Args:
        classes: (N, T), the best class of each step; 0 is the blank, i is `charset[i - 1]`.
        probabilities: (N, T), theirs.
        charset: one character a class, the blank left out. Of one that takes several code points each has the
            class's step and probability.
    """
    begins = classes != BLANK
    begins[:, 1:] &= classes[:, 1:] != classes[:, :-1]
    lines, steps = begins.nonzero()
    found = [charset[i - 1] for i in classes[lines, steps].tolist()]
    characters = "".join(found)
    if len(characters) > len(found):
        lengths = list(map(len, found))
        lines, steps = np.repeat(lines, lengths), np.repeat(steps, lengths)
    confidences = probabilities[lines, steps]
    ends = np.searchsorted(lines, np.arange(len(classes)), side="right").tolist()
    return [
        Reading(characters[start:end], confidences[start:end], steps[start:end])
        for start, end in zip([0, *ends], ends, strict=False)
    ]


def decode_lines(lines: Sequence[Decided], charset: Sequence[str]) -> list[Reading]:
    """Decodes lines of any lengths; see `decode`."""
    longest = max((len(classes) for classes, _ in lines), default=0)
    classes = np.full((len(lines), longest), BLANK, np.int64)
    probabilities = np.zeros((len(lines), longest), np.float32)
    for row, (of_line, sure) in enumerate(lines):
        classes[row, : len(of_line)], probabilities[row, : len(sure)] = of_line, sure
    return decode(classes, probabilities, charset)


def certainty(confidences: npt.NDArray[np.float32]) -> float:
    """How sure it is that all characters of a line are right: a number of 0 to 1 to rank lines by.

    It is the geometric mean of the characters' confidences to the power of the root of their number. That
    lies between the mean, which a wrong character of a long line hardly moves, and the product, which is low
    for all long lines.

    Args:
        confidences: (n,), n at least 1.
    """
    logarithms = np.log(np.maximum(confidences, _LEAST))
    return float(np.exp(logarithms.sum() / np.sqrt(len(logarithms))))


def chance(certainty: float, scale: float, shift: float) -> float:
    """The chance that a line of this certainty is right (Platt 1999): the surer a line, the larger.

    The odds of the certainty are raised to the power `scale` and multiplied by e to the power `shift`.

    Args:
        certainty: 0 to 1.
        scale: above 0.
        shift: above 0 for a network that is right more often than it is sure, and the other way round.
    """
    return float(1 / (1 + math.exp(-scale * log_odds(certainty) - shift)))


def log_odds(probability: float) -> float:
    """The logarithm of a probability's odds, of 0 and 1 that of what is next to them."""
    near = min(max(probability, _LEAST), 1 - _LEAST)
    return math.log(near / (1 - near))


def join(parts: Sequence[Candidates], starts: Sequence[int]) -> Candidates:
    """Joins what was seen in overlapping parts of a line, as if all of it had been seen at once.

    Near its cut edges a part sees half letters. So the next part takes over in the middle of what both see,
    at the nearest step where the best class of both is the same: there one goes on where the other stops, and
    a letter is neither lost nor doubled. Where they agree nowhere it takes over in the middle itself.

    Args:
        parts: of one line, from start to end.
        starts: steps of the line at which the parts begin, ascending; each begins before the last one ends.
    """
    classes, probabilities = parts[0]
    for (more, sure), start in zip(parts[1:], starts[1:], strict=True):
        shared = len(classes) - start
        agreed = np.flatnonzero(classes[start:, 0] == more[:shared, 0])
        middle = shared // 2
        own = int(agreed[np.argmin(np.abs(agreed - middle))]) if len(agreed) else middle
        classes = np.concatenate([classes[: start + own], more[own:]])
        probabilities = np.concatenate([probabilities[: start + own], sure[own:]])
    return classes, probabilities


def tidy(reading: Reading) -> Reading:
    """The reading without spaces at its ends and behind other spaces."""
    text = reading.text
    words = text.split()
    if len(text) == sum(map(len, words)) + max(0, len(words) - 1):
        return reading
    last = len(text.rstrip())
    kept = [i for i in range(last) if not text[i].isspace() or (i and not text[i - 1].isspace())]
    return Reading("".join(text[i] for i in kept), reading.confidences[kept], reading.steps[kept])


def extents(reading: Reading, steps: float) -> tuple[Char, ...]:
    """Where each character stands along its line.

    CTC says where a character was noticed, not where it ends: the border between two characters is put
    half-way between their steps.

    Args:
        reading: the line.
        steps: how many steps the crop takes, padding left out.
    """
    if not reading.text:
        return ()
    centers = np.clip((reading.steps + 0.5) / steps, 0, 1)
    borders = np.concatenate([[0.0], (centers[1:] + centers[:-1]) / 2, [1.0]])
    return tuple(
        Char(text, float(confidence), float(x0), float(x1))
        for text, confidence, x0, x1 in zip(
            reading.text, reading.confidences, borders[:-1], borders[1:], strict=True
        )
    )
