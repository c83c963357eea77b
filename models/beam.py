"""The likeliest text of a line by its recogniser's probabilities and a language's: CTC beam search.

Only steps of which the recogniser is unsure are searched, with as many characters behind them as a language
looks back (Graves and Jaitly 2014; paths are kept apart by what a language sees of them, as in Hwang and Sung
2016). All such places of a batch of lines are searched side by side, and none depends on the others.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from models.ctc import BLANK, Candidates, Decided
from models.language import NEXT_STATE, ORDER, SPACE, Language, followed

CANDIDATES = 4
"""Classes of a step that are looked at, at most."""
SURE = 0.9
"""The best class of a step with a higher probability stands."""
LEAST = 0.01
"""Other classes of a step with a lower probability are not looked at."""
BEAMS = 4
"""Texts of a place that are followed at once."""

_STATE_BITS, _CLASS_BITS = np.uint64(3), np.uint64(20)
_STATE = np.uint64(7)

Ints = npt.NDArray[np.integer]
Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class _Steps:
    """The steps of all lines one behind the other, without those that surely say what the one before says.

    Attributes:
        classes: (n, K).
        logs: (n, K) log probabilities; minus infinity for classes that are not looked at.
        sure: (n,) whether the best class stands.
        begins: (n,) whether a line begins.
        lines: (n,) the number of the line, from 1 on.
        noticed: (n,) whether the best class is a character that begins here.
        counts: (n,) characters noticed so far, in all lines.
    """

    classes: Ints
    logs: npt.NDArray[np.float64]
    sure: Bools
    begins: Bools
    lines: Ints
    noticed: Bools
    counts: Ints


@dataclass(frozen=True, slots=True)
class _Places:
    """Where to search, (p,) each, the longest first.

    Attributes:
        starts: the first step, of which the recogniser is unsure.
        lengths: steps; one more where the line ends.
        ends: whether the line ends there.
    """

    starts: Ints
    lengths: Ints
    ends: Bools


@dataclass(frozen=True, slots=True)
class _Texts:
    """The texts that are followed at places, (p, beams) each.

    Attributes:
        scores: log probabilities of both, weighted.
        seen: what a language sees of them: symbols, and below them the state of case.
        last: the class of the last step.
    """

    scores: npt.NDArray[np.float64]
    seen: npt.NDArray[np.uint64]
    last: Ints

    def first(self, count: int) -> _Texts:
        """Those of the first places."""
        return _Texts(self.scores[:count], self.seen[:count], self.last[:count])


class BeamSearch:
    """Decides the steps of lines anew where their recogniser is unsure.

    Args:
        language: how likely characters follow each other.
        charset: of the recogniser, without the blank.
        weight: of the language's log probabilities; the recogniser's have 1.
        bonus: added for each character, since every one makes a text less likely.
        beams: texts of a place that are followed at once.
    """

    def __init__(
        self, language: Language, charset: Sequence[str], weight: float, bonus: float, beams: int = BEAMS
    ) -> None:
        known = language.symbols(charset)
        self._language = language
        self._weight, self._bonus, self._beams = weight, bonus, beams
        self._end = len(charset) + 1  # a class of its own, which stands for the space behind a line
        self._symbols = np.append(known.symbols, np.uint64(SPACE))
        self._cases = np.append(known.cases, 0)
        self._letter = np.concatenate([np.zeros((len(language.cases), 1)), language.cases], 1)

    def __call__(self, lines: Sequence[Candidates]) -> list[Decided]:
        """The class of each step of each line, and its probability."""
        if not lines:
            return []
        classes = np.concatenate([classes for classes, _ in lines])
        probabilities = np.concatenate([probabilities for _, probabilities in lines])
        stops = np.cumsum([len(classes) for classes, _ in lines])
        kept, steps = _steps(classes, probabilities, stops)
        picked = self._search(steps, _places(steps))
        best, sure = classes[:, 0].copy(), probabilities[:, 0].copy()
        best[kept], sure[kept] = classes[kept, picked], probabilities[kept, picked]
        return list(zip(np.split(best, stops[:-1]), np.split(sure, stops[:-1]), strict=True))

    def _search(self, steps: _Steps, places: _Places) -> Ints:
        """(n,) which of its candidates each step is."""
        picked = np.zeros(len(steps.classes), np.int64)
        if not len(places.starts):
            return picked
        open_ = np.searchsorted(-places.lengths, -np.arange(places.lengths[0])).tolist()
        texts = self._before(steps, places.starts)
        came: list[tuple[Ints, Ints]] = []
        for (classes, logs), count in zip(self._laid_out(steps, places, open_), open_, strict=True):
            texts, origin = self._extended(texts.first(count), classes, logs)
            came.append((origin // classes.shape[1], origin % classes.shape[1]))
        beam = np.zeros(len(places.starts), np.int64)
        for step, (parents, choices) in reversed(list(enumerate(came))):
            rows = np.arange(len(parents))
            read = rows[step < (places.lengths - places.ends)[: len(rows)]]
            picked[places.starts[read] + step] = choices[read, beam[read]]
            beam[rows] = parents[rows, beam[rows]]
        return picked

    def _before(self, steps: _Steps, starts: Ints) -> _Texts:
        """What stands before places."""
        best = steps.classes[:, 0]
        characters = np.flatnonzero(steps.noticed)
        lines = steps.lines
        before = steps.counts[starts] - steps.noticed[starts]
        of_line = before - np.searchsorted(lines[characters], lines[starts])
        symbols = np.append(self._symbols[best[characters]], np.uint64(0))
        contexts = np.zeros(len(starts), np.uint64)
        for back in range(ORDER - 1, 0, -1):
            there = np.where(back <= of_line, symbols[np.maximum(before - back, -1)], np.uint64(0))
            contexts = followed(contexts, np.where(back == of_line + 1, np.uint64(SPACE), there))
        states = _states(self._cases[best[characters]].tolist(), lines[characters].tolist())[before]
        seen = _seen(contexts, np.where(of_line > 0, states, 0))
        last = np.where(steps.begins[starts], BLANK, best[starts - 1])
        return _Texts(np.zeros((len(starts), 1)), seen[:, None], last[:, None])

    def _laid_out(
        self, steps: _Steps, places: _Places, open_: Sequence[int]
    ) -> Iterator[tuple[Ints, npt.NDArray[np.float64]]]:
        """The candidates of each step of the places that are open and their log probabilities, (p, K)."""
        at = np.minimum(places.starts + np.arange(places.lengths[0])[:, None], len(steps.classes) - 1)
        classes, logs = steps.classes[at], steps.logs[at]
        ended = places.lengths[places.ends] - 1, np.flatnonzero(places.ends)
        classes[ended], logs[ended] = self._end, [0.0, *[-np.inf] * (logs.shape[2] - 1)]
        widths = (logs > -np.inf).sum(2)
        for step, count in enumerate(open_):
            width = widths[step, :count].max()
            yield classes[step, :count, :width], logs[step, :count, :width]

    def _extended(self, texts: _Texts, classes: Ints, logs: npt.NDArray[np.float64]) -> tuple[_Texts, Ints]:
        """The best texts a step further, and the text (times K) and the candidate that each came from."""
        width = classes.shape[1]
        totals = (texts.scores[:, :, None] + logs[:, None]).reshape(len(classes), -1)
        ends = np.repeat(classes[:, None], texts.scores.shape[1], 1).ravel()
        seen = np.repeat(texts.seen.ravel(), width)
        written = (
            (ends != BLANK) & (ends != np.repeat(texts.last.ravel(), width)) & (totals.ravel() > -np.inf)
        )
        if (at := np.flatnonzero(written)).size:
            before, states = seen[at] >> _STATE_BITS, (seen[at] & _STATE).astype(np.int64)
            symbols, cases = self._symbols[ends[at]], self._cases[ends[at]]
            likely = self._language.scores(before, symbols) + self._letter[states, cases]
            totals.ravel()[at] += self._weight * likely + self._bonus
            seen[at] = _seen(followed(before, symbols), NEXT_STATE[states, cases])
        origin = _best(totals, seen << _CLASS_BITS | ends.astype(np.uint64), self._beams)
        flat = origin + np.arange(len(classes))[:, None] * totals.shape[1]
        return _Texts(totals.ravel()[flat], seen[flat], ends[flat]), origin


def _seen(contexts: npt.NDArray[np.uint64], states: Ints) -> npt.NDArray[np.uint64]:
    return contexts << _STATE_BITS | states.astype(np.uint64)


def _best(totals: npt.NDArray[np.float64], marks: npt.NDArray[np.uint64], beams: int) -> Ints:
    """(p, beams) the best totals of (p, n), best first; of equal marks (p n,) the best one alone."""
    order = np.argsort(-totals, axis=1, kind="stable")[:, : 2 * beams]
    if order.shape[1] == 1:
        return order
    marks = marks[order + np.arange(len(totals))[:, None] * totals.shape[1]]
    worse = ((marks[:, :, None] == marks[:, None]) & _earlier(order.shape[1])).any(2)
    if worse.any():
        order = order[np.arange(len(order))[:, None], np.argsort(worse, axis=1, kind="stable")]
    return order[:, :beams]


@functools.lru_cache(maxsize=2 * BEAMS)
def _earlier(count: int) -> Bools:
    return np.tri(count, k=-1, dtype=bool)


def _steps(classes: Ints, probabilities: npt.NDArray[np.float32], stops: Ints) -> tuple[Ints, _Steps]:
    """The steps that matter, and which of all steps they are."""
    best, sure = classes[:, 0], probabilities[:, 0] > SURE
    begins = np.zeros(len(classes), bool)
    begins[[0, *stops[:-1][stops[:-1] < len(classes)]]] = True
    again = np.zeros(len(classes), bool)
    again[1:] = (best[1:] == best[:-1]) & sure[1:] & sure[:-1] & ~begins[1:]
    kept = np.flatnonzero(~again)
    classes, probabilities, sure, begins = classes[kept], probabilities[kept], sure[kept], begins[kept]
    logs = np.log(np.maximum(probabilities, 1e-9)).astype(np.float64)
    logs[:, 1:][(probabilities[:, 1:] < LEAST) | sure[:, None]] = -np.inf
    best = classes[:, 0]
    noticed = best != BLANK
    noticed[1:] &= (best[1:] != best[:-1]) | begins[1:]
    return kept, _Steps(classes, logs, sure, begins, np.cumsum(begins), noticed, np.cumsum(noticed))


def _places(steps: _Steps) -> _Places:
    """Runs of unsure steps with fewer characters between them than a language looks back, and more."""
    unsure = np.flatnonzero(~steps.sure)
    lines = steps.lines
    line_stops = np.append(np.flatnonzero(steps.begins)[1:], len(steps.sure))[lines[unsure] - 1]
    between = (steps.counts - steps.noticed)[unsure[1:]] - steps.counts[unsure[:-1]]
    apart = (between >= ORDER - 1) | (lines[unsure[1:]] != lines[unsure[:-1]])
    first, last = np.append(True, apart)[: len(unsure)], np.append(apart, True)[: len(unsure)]
    behind = np.searchsorted(steps.counts, steps.counts[unsure[last]] + ORDER - 1) + 1
    ends = behind > line_stops[last]
    lengths = np.minimum(behind, line_stops[last]) - unsure[first] + ends
    order = np.argsort(-lengths, kind="stable")
    return _Places(unsure[first][order], lengths[order], ends[order])


def _states(cases: Sequence[int], lines: Sequence[int]) -> Ints:
    """The state of case behind each number of characters of lines one behind the other."""
    following, state, line, found = NEXT_STATE.tolist(), 0, 0, [0]
    for case, of in zip(cases, lines, strict=True):
        state = following[state if of == line else 0][case]
        line = of
        found.append(state)
    return np.array(found)
