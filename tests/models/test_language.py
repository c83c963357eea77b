"""A language model: a table of n-grams, and the texts that it prefers where a recogniser is unsure."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import product
from math import log
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from models import ctc
from models.beam import CANDIDATES, BeamSearch
from models.language import (
    DIGIT,
    LEVEL_BITS,
    LEVELS,
    METADATA,
    NEXT_STATE,
    ORDER,
    OTHER,
    SPACE,
    STATES,
    WAYS,
    Language,
    addresses,
    language_in,
    symbol_of,
)
from models.records import UsageError

CHARSET = (*"abcABC019.", " ")
BACKOFF = -1.0
LOGS = np.linspace(-6, 0, LEVELS, dtype=np.float32)
KNOWN = {letter: number for number, letter in enumerate("abc.", DIGIT + 1)}


def table(ngrams: dict[str, int], backoff: float = BACKOFF) -> Language:
    """A language of the n-grams spelt, and the levels that each has."""
    keys = [spelt(ngram) for ngram in ngrams]
    cells = np.zeros((257, WAYS), np.uint16)
    places, prints = addresses(np.array(keys, np.uint64), len(cells))
    for place, mark, level in zip(places, prints, ngrams.values(), strict=True):
        cells[place, np.count_nonzero(cells[place])] = mark << LEVEL_BITS | level
    cases = np.log([[0.5, 0.5], [0.1, 0.9], [0.9, 0.1], [0.6, 0.4], [0.1, 0.9], [0.95, 0.05]])
    return Language("abc.", cells, LOGS, cases.astype(np.float32), backoff)


def spelt(text: str) -> int:
    return int.from_bytes(bytes(symbol_of(char, KNOWN)[0] for char in text), "big")


NGRAMS = {
    "a": 20,
    "b": 16,
    "c": 12,
    " ": 24,
    "0": 14,
    "ab": 28,
    "cab": 30,
    " cab": 31,
    " a": 22,
    "b ": 27,
    "aa": 6,
}
LANGUAGE = table(NGRAMS)


def expected(context: str, char: str) -> float:
    """The log probability of the longest n-gram that is known, less for each symbol left out."""
    context = context[1 - ORDER :]
    digit = log(0.1) if char.isdigit() else 0
    for left_out in range(len(context) + 1):
        if level := NGRAMS.get(lowered(context[left_out:] + char)):
            return float(LOGS[level]) + BACKOFF * left_out + digit
    return float(LOGS[0]) + BACKOFF * (len(context) + 1) + digit


def lowered(text: str) -> str:
    return "".join("0" if char.isdigit() else char for char in text.lower())


@given(st.text("abcAB01. ", min_size=1, max_size=8), st.sampled_from(CHARSET))
def test_scores_are_those_of_the_longest_ngram_that_is_known(context: str, char: str) -> None:
    contexts = np.array([spelt(context[1 - ORDER :])], np.uint64)
    symbols = np.array([spelt(char)], np.uint64)
    assert LANGUAGE.scores(contexts, symbols)[0] == pytest.approx(expected(context, char), abs=1e-5)


def test_a_short_context_is_no_reason_to_back_off() -> None:
    contexts, symbols = np.array([spelt(" ca")], np.uint64), np.array([spelt("b")], np.uint64)
    assert LANGUAGE.scores(contexts, symbols)[0] == pytest.approx(float(LOGS[31]) + 0 * BACKOFF)


def test_no_digit_is_preferred_to_another() -> None:
    symbols = LANGUAGE.symbols(CHARSET).symbols
    assert len({int(symbols[1 + CHARSET.index(char)]) for char in "019"}) == 1


def test_characters_that_a_language_does_not_know_are_one_symbol() -> None:
    assert symbol_of("é", KNOWN)[0] == symbol_of("文", KNOWN)[0] == symbol_of("ab", KNOWN)[0] == OTHER
    assert symbol_of("B", KNOWN)[0] == symbol_of("b", KNOWN)[0]
    assert [symbol_of(char, KNOWN)[1] for char in "bB.7 "] == [1, 2, 0, 0, 0]


def test_a_language_is_read_as_it_was_written() -> None:
    again = Language.from_json(LANGUAGE.to_json())
    np.testing.assert_array_equal(again.cells, LANGUAGE.cells)
    np.testing.assert_array_equal(again.cases, LANGUAGE.cases)
    assert (again.letters, again.backoff, again.levels.tolist()) == ("abc.", BACKOFF, LOGS.tolist())


@pytest.mark.parametrize(
    ("key", "value"),
    [("format", 2), ("cells", "?"), ("cells", "AAAA"), ("levels", [1.0]), ("cases", "x"),
     ("letters", "a" * 300), ("backoff", None), ("backoff", float("nan"))],
)  # fmt: skip
def test_a_damaged_language_is_refused(key: str, value: object) -> None:
    values = json.loads(LANGUAGE.to_json())
    with pytest.raises(UsageError, match="the language model cannot be read"):
        Language.from_json(json.dumps({**values, key: value}))


def test_a_language_lies_in_an_onnx_file(tmp_path: Path) -> None:
    graph = helper.make_graph([], "none", [], [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])])
    model = helper.make_model(graph)
    path = tmp_path / "model.onnx"
    onnx.save(model, path)
    assert language_in(path) is None
    entry = model.metadata_props.add()
    entry.key, entry.value = METADATA, LANGUAGE.to_json()
    onnx.save(model, path)
    held = language_in(path)
    assert held is not None and held.to_json() == LANGUAGE.to_json()
    entry.value = "nothing"
    onnx.save(model, path)
    with pytest.raises(UsageError, match="model.onnx: the language model cannot be read"):
        language_in(path)


def line(steps: Sequence[dict[str, float]]) -> ctc.Candidates:
    """Candidates of steps, each of what a step may be and how likely; "" is the blank."""
    classes = np.zeros((len(steps), CANDIDATES), np.int64)
    likely = np.zeros((len(steps), CANDIDATES), np.float32)
    for row, step in enumerate(steps):
        for column, (char, probability) in enumerate(sorted(step.items(), key=lambda pair: -pair[1])):
            classes[row, column] = CHARSET.index(char) + 1 if char else 0
            likely[row, column] = probability
    return classes, likely


def text_of(decided: ctc.Decided) -> str:
    (reading,) = ctc.decode_lines([decided], CHARSET)
    return reading.text


def score(chars: str, weight: float, bonus: float) -> float:
    """What a language adds to a line's log probability, by the definition."""
    context, state, total = " ", 0, 0.0
    for char in chars:
        case = symbol_of(char, KNOWN)[1]
        likely = expected(context, char) + (float(LANGUAGE.cases[state, case - 1]) if case else 0)
        total += weight * likely + bonus
        context, state = context + char, int(NEXT_STATE[state, case])
    return total + weight * expected(context, " ")


def best_by_trying(steps: Sequence[dict[str, float]], weight: float, bonus: float) -> float:
    """The best log probability of any path, of all of them."""
    found = []
    for path in product(*(step.items() for step in steps)):
        chars = "".join(c for i, (c, _) in enumerate(path) if c and (i == 0 or path[i - 1][0] != c))
        found.append(sum(log(p) for _, p in path) + score(chars, weight, bonus))
    return max(found)


STEP = st.dictionaries(
    st.sampled_from(["", *"abcA0 "]), st.sampled_from([0.15, 0.3, 0.45]), min_size=1, max_size=3
)


@settings(max_examples=60, deadline=None)
@given(st.lists(STEP, min_size=1, max_size=5), st.sampled_from([(0.0, 0.0), (0.3, 0.5), (1.0, 1.0)]))
def test_the_search_finds_the_best_text_of_all(
    steps: list[dict[str, float]], weights: tuple[float, float]
) -> None:
    (decided,) = BeamSearch(LANGUAGE, CHARSET, *weights, beams=99)([line(steps)])
    classes, likely = decided
    chars = text_of(decided)
    found = float(np.log(likely).sum()) + score(chars, *weights)
    assert found == pytest.approx(best_by_trying(steps, *weights), abs=1e-3)
    for step, of_step, probability in zip(steps, classes, likely, strict=True):
        assert step[CHARSET[of_step - 1] if of_step else ""] == pytest.approx(float(probability))


def test_a_word_that_is_known_is_preferred() -> None:
    unsure = line([{"c": 0.99}, {"": 1.0}, {"a": 0.99}, {"": 1.0}, {"0": 0.5, "b": 0.4, ".": 0.1}, {"": 1.0}])
    assert text_of((unsure[0][:, 0], unsure[1][:, 0])) == "ca0"
    (decided,) = BeamSearch(LANGUAGE, CHARSET, 0.3, 0.5)([unsure])
    assert text_of(decided) == "cab"
    assert decided[1][4] == pytest.approx(0.4)  # the recogniser's own probability of what was chosen


def test_case_goes_on_as_it_is() -> None:
    unsure = line([{"A": 0.99}, {"B": 0.99}, {"c": 0.5, "C": 0.45}])
    assert text_of(BeamSearch(LANGUAGE, CHARSET, 0.3, 0.5)([unsure])[0]) == "ABC"


SURE = st.dictionaries(
    st.sampled_from(["", *"abcA0 "]), st.sampled_from([0.05, 0.3, 0.5, 0.97]), min_size=1, max_size=4
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(SURE, min_size=1, max_size=30), max_size=6))
def test_a_line_is_read_alone_as_among_others(lines: list[list[dict[str, float]]]) -> None:
    search = BeamSearch(LANGUAGE, CHARSET, 0.3, 0.5)
    given_ = [line(steps) for steps in lines]
    for alone, together in zip(given_, search(given_), strict=True):
        (expected_,) = search([alone])
        np.testing.assert_array_equal(expected_[0], together[0])
        np.testing.assert_array_equal(expected_[1], together[1])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(SURE, min_size=1, max_size=30), max_size=6))
def test_without_weight_each_step_is_its_best_class(lines: list[list[dict[str, float]]]) -> None:
    given_ = [line(steps) for steps in lines]
    for (_, likely), (_, decided) in zip(
        given_, BeamSearch(LANGUAGE, CHARSET, 0.0, 0.0)(given_), strict=True
    ):
        np.testing.assert_array_equal(decided, likely[:, 0])


def test_what_is_sure_stays() -> None:
    steps = line([{"0": 0.98, "a": 0.01}, {"": 1.0}, {".": 0.97, "b": 0.03}])
    (decided,) = BeamSearch(LANGUAGE, CHARSET, 5.0, 0.0)([steps])
    assert text_of(decided) == "0."


def test_states_of_case_and_symbols_fit_their_bits() -> None:
    assert STATES <= 8 and NEXT_STATE.shape == (STATES, 3) and NEXT_STATE.max() < STATES
    assert 0 < SPACE < OTHER < DIGIT < 255
