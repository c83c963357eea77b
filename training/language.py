"""Counts which characters follow each other, and packs what a recogniser is to know of it into a table.

Probabilities are interpolated by Witten and Bell's estimate (1991) and the most frequent n-grams are kept.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from random import Random

import numpy as np

from models.language import (
    LEVEL_BITS,
    LEVELS,
    MOST_LETTERS,
    NEXT_STATE,
    ORDER,
    OTHER,
    SPACE,
    STATES,
    WAYS,
    Language,
    addresses,
    numbered,
    symbol_of,
)

BACKOFF = -0.9
"""What is added for each character that an n-gram is shorter: log .4, as Brants et al. have it."""
FLOOR = -13.0
"""Log probability of what was never seen."""
ROOM = 65_536 * WAYS
"""n-grams that a table has room for, in half a megabyte."""
MOST_OF_A_WORD = 200.0
MILLION = 1e6
SPREAD = 0.7
"""A word counts as often as a million words hold it, to this power: so rare ones count as well."""

Weighted = tuple[str, float]
"""A text, and how often it counts."""
Counts = list[Counter[bytes]]
"""How often each n-gram was seen; the first of single symbols."""


def words(language: str, most: int, weight: float) -> Iterator[Weighted]:
    """The most frequent words of a language.

    Args:
        language: its code, such as en.
        most: words.
        weight: how many times each counts.
    """
    from wordfreq import top_n_list, word_frequency

    for word in top_n_list(language, most):
        if not word[0].isdigit():
            often = (word_frequency(word, language) * MILLION) ** SPREAD
            yield word, weight * min(MOST_OF_A_WORD, often)


def made(charset: Sequence[str], count: int, seed: int) -> Iterator[Weighted]:
    """What made lines say: sentences, names, prices, dates, codes."""
    from training.synthesis.text import TextSource

    source, rng = TextSource(charset), Random(seed)
    return ((source.line(rng), 1.0) for _ in range(count))


def letters_of(charset: Sequence[str], texts: Sequence[Weighted]) -> str:
    """The letters of a charset, without case, and its signs; of too many, the most frequent ones."""
    small = dict.fromkeys(char.lower() if len(char.lower()) == 1 else char for char in charset)
    told = [char for char in small if len(char) == 1 and symbol_of(char, {})[0] == OTHER]
    if len(told) <= MOST_LETTERS:
        return "".join(told)
    seen: Counter[str] = Counter()
    for text, weight in texts:
        for char in text.lower():
            seen[char] += weight  # type: ignore[assignment]  # typed for whole numbers
    return "".join(sorted(told, key=lambda char: -seen[char])[:MOST_LETTERS])


def learn(texts: Iterable[Weighted], charset: Sequence[str], room: int = ROOM) -> Language:
    """A language model of texts.

    Args:
        texts: what was printed, and how often each counts.
        charset: of the recogniser.
        room: most n-grams.
    """
    texts = list(texts)
    letters = letters_of(charset, texts)
    counts, cases = count(texts, letters)
    levels = np.linspace(FLOOR, 0, LEVELS, dtype=np.float32)
    cells = pack(ranked(counts), levels, room)
    likely = cases / cases.sum(1, keepdims=True)
    return Language(letters, cells, levels, np.log(likely).astype(np.float32), BACKOFF)


def count(texts: Iterable[Weighted], letters: str) -> tuple[Counts, np.ndarray]:
    """n-grams of texts between two spaces, and (`STATES`, 2) small and capital letters behind each state."""
    known = numbered(letters)
    counts: Counts = [Counter() for _ in range(ORDER)]
    cases = np.ones((STATES, 3))
    following = NEXT_STATE.tolist()
    for text, weight in texts:
        pairs = [symbol_of(char, known) for char in text]
        symbols = bytes([SPACE, *(symbol for symbol, _ in pairs), SPACE])
        for end in range(2, len(symbols) + 1):
            for length in range(1, min(ORDER, end) + 1):
                counts[length - 1][symbols[end - length : end]] += weight  # type: ignore[assignment]
        state = 0
        for _, case in pairs:
            cases[state, case] += weight
            state = following[state][case]
    return counts, cases[:, 1:]


def probabilities(counts: Counts) -> dict[bytes, float]:
    """Of each n-gram, how likely its last symbol is behind the others (Witten and Bell 1991)."""
    likely: dict[bytes, float] = {}
    for of_length in counts:
        total: defaultdict[bytes, float] = defaultdict(float)
        kinds: Counter[bytes] = Counter()
        for ngram, often in of_length.items():
            total[ngram[:-1]] += often
            kinds[ngram[:-1]] += 1
        for ngram, often in of_length.items():
            context = ngram[:-1]
            shorter = likely[ngram[1:]] if context else 1 / len(of_length)
            likely[ngram] = (often + kinds[context] * shorter) / (total[context] + kinds[context])
    return likely


def ranked(counts: Counts) -> list[tuple[bytes, float]]:
    """n-grams and their probabilities: single symbols, then by how often they are seen, long ones later."""
    likely = probabilities(counts)
    worth = {
        ngram: often / len(ngram) ** 2 if len(ngram) > 1 else np.inf
        for of_length in counts
        for ngram, often in of_length.items()
    }
    return [(ngram, likely[ngram]) for ngram in sorted(worth, key=lambda ngram: (-worth[ngram], ngram))]


def pack(ngrams: Sequence[tuple[bytes, float]], levels: np.ndarray, room: int) -> np.ndarray:
    """A table of n-grams and the levels next to their probabilities; what finds its bucket full is left out.

    Args:
        ngrams: the most important first.
        levels: (`LEVELS`,) log probabilities, evenly spaced.
        room: cells.
    """
    buckets = max(1, room // WAYS)
    tried = ngrams[: room + room // 2]
    keys = np.array([int.from_bytes(ngram, "big") for ngram, _ in tried], np.uint64)
    logs = np.log([likely for _, likely in tried])
    step = (levels[-1] - levels[0]) / (len(levels) - 1)
    numbers = np.clip(np.round((logs - levels[0]) / step), 1, len(levels) - 1).astype(int)
    places, prints = addresses(keys, buckets)
    cells = np.zeros((buckets, WAYS), np.uint16)
    full = [0] * buckets
    for place, mark, level in zip(places.tolist(), prints.tolist(), numbers.tolist(), strict=True):
        if full[place] < WAYS:
            cells[place, full[place]] = mark << LEVEL_BITS | level
            full[place] += 1
    return cells
