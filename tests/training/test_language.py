"""Texts become a language model, and that goes into a recogniser's file."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from models.bundle import About
from models.language import LEVELS, ORDER, WAYS, Language, language_in, symbol_of
from models.reader import Reader
from models.records import UsageError
from tests.training.tiny import tiny_models
from training.__main__ import main
from training.bundle import Limits, make_bundle
from training.language import BACKOFF, count, learn, letters_of, pack, probabilities

ANY = Limits(least_words=0.0)
TEXTS = [("the cat sat", 3.0), ("THE CAT", 1.0), ("No. 17", 1.0), ("No. 42", 1.0)]
CHARSET = tuple("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789. ")


def score(language: Language, context: str, char: str) -> float:
    known = {letter: number for number, letter in enumerate(language.letters, 4)}
    codes = [int.from_bytes(bytes(symbol_of(c, known)[0] for c in text), "big") for text in (context, char)]
    return float(language.scores(*np.array(codes, np.uint64)[:, None])[0])


def test_what_was_seen_is_likelier_than_what_was_not() -> None:
    language = learn(TEXTS, CHARSET)
    assert score(language, " ca", "t") > score(language, " ca", "r") + 2
    assert score(language, " CA", "T") == score(language, " ca", "t")
    assert score(language, "o. ", "1") == score(language, "o. ", "9")
    upper = language.cases[4]  # behind two capitals
    assert upper[1] > upper[0]


def test_probabilities_of_what_follows_a_context_are_at_most_one() -> None:
    counts, _ = count(TEXTS, letters_of(CHARSET, TEXTS))
    likely = probabilities(counts)
    for context in {ngram[:-1] for ngram in likely}:
        followers = sum(p for ngram, p in likely.items() if ngram[:-1] == context)
        assert 0 < followers <= 1 + 1e-9


def test_levels_are_next_to_the_probabilities() -> None:
    language = learn(TEXTS, CHARSET)
    counts, _ = count(TEXTS, language.letters)
    known = {letter: number for number, letter in enumerate(language.letters, 4)}
    step = float(language.levels[1] - language.levels[0])
    for ngram, likely in probabilities(counts).items():
        if len(ngram) == ORDER and symbol_of("1", known)[0] not in ngram:
            codes = [int.from_bytes(part, "big") for part in (ngram[:-1], ngram[-1:])]
            (found,) = language.scores(*np.array(codes, np.uint64)[:, None])
            assert found == pytest.approx(np.log(likely), abs=step / 2 + 1e-4)


def test_a_full_table_keeps_the_most_important() -> None:
    levels = np.linspace(-6, 0, LEVELS, dtype=np.float32)
    ngrams = [(bytes([4 + number]), 0.5) for number in range(200)]
    cells = pack(ngrams, levels, 16 * WAYS)
    assert cells.shape == (16, WAYS) and (cells > 0).mean() > 0.8
    first = pack(ngrams[: 4 * WAYS], levels, 16 * WAYS)
    assert (first > 0).sum() == 4 * WAYS
    assert ((first == cells) | (first == 0)).all()


def test_of_too_many_letters_the_most_frequent_are_told_apart() -> None:
    charset = [chr(0x4E00 + number) for number in range(400)]
    letters = letters_of(charset, [("".join(charset[200:]) * 2, 1.0), (charset[3], 9.0)])
    assert letters[0] == charset[3] and set(letters[:201]) == {charset[3], *charset[200:]}
    learn([(charset[3], 1.0)], charset)


def test_texts_of_any_kind_make_a_language(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "plain.txt").write_text("the cat\n\nthe hat\n", "utf-8")
    (tmp_path / "rec_gt.txt").write_text("a.png\tthe mat\n", "utf-8")
    shard = tmp_path / "shard"
    shard.mkdir()
    rows = [{"text": "THE BAT", "cased": "the bat"}, {"text": "the rat"}]
    (shard / "labels.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    output = tmp_path / "language.json"
    sources = [f"{tmp_path}/plain.txt:2", f"{tmp_path}/rec_gt.txt", str(shard)]
    command = ["language", "--texts", *sources, "--made", "50", "--words", "en:0.5", "--most_words", "100"]
    assert main([*command, "--kilobytes", "64", "--output", str(output)]) == 0
    assert "155 texts" in capsys.readouterr().out
    language = Language.from_json(output.read_text("utf-8"))
    assert language.cells.nbytes == 64 * 1024 and language.backoff == BACKOFF
    assert all(score(language, "the ", char) > score(language, "the ", "x") for char in "chmbr")


@pytest.mark.parametrize("wrong", ["en:0", "en:-1", ":2", "en:x"])
def test_a_weight_that_is_none_is_refused(wrong: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["language", "--words", wrong, "--output", "x"])
    assert "--words" in capsys.readouterr().err


def test_a_language_goes_with_its_recogniser(tmp_path: Path) -> None:
    models = tiny_models(tmp_path, {})
    language = learn(TEXTS, CHARSET, 4096)
    asked = {"recognition.language_weight": 0.3, "recognition.language_bonus": 0.5}
    bundle = make_bundle(
        models, About("tiny"), tmp_path / "tiny", overrides=asked, language=language, limits=ANY
    )
    held = language_in(bundle.model_path(bundle.manifest.recognition))
    assert held is not None and held.to_json() == language.to_json()
    again = make_bundle(
        {name: tmp_path / "tiny" / f"{name}.onnx" for name in models},
        About("again"), tmp_path / "again", overrides=asked, limits=ANY,
    )  # fmt: skip
    assert language_in(again.model_path(again.manifest.recognition)) is not None


def test_a_recogniser_without_a_language_cannot_ask_it(tmp_path: Path) -> None:
    asked = {"recognition.language_weight": 0.3}
    models = tiny_models(tmp_path, {})
    with pytest.raises(UsageError, match="holds no language model; set language_weight to 0"):
        Reader(make_bundle(models, About("t"), tmp_path / "t", overrides=asked, limits=ANY))
