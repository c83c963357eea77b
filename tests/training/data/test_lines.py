from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from models.records import UsageError
from training.data.charset import Charset
from training.data.lines import (
    LineBatches,
    LineShape,
    Sample,
    ShardSource,
    SyntheticSource,
    dev_batches,
    pad,
    warp_line,
)
from training.data.shards import write_shard

CHARSET = Charset(tuple("abcd "))
SHAPE = LineShape(height=16, widths=(16, 32, 64), columns=128)
STILL = np.random.default_rng(0)


def line(width: int, text: str, border: int = 0, height: int = 16) -> tuple[np.ndarray, dict[str, object]]:
    image = np.full((height + 2 * border, width + 2 * border, 3), ord(text[0]), np.uint8)
    return image, {"text": text, "border": border}


def shard(path: Path, *lines: tuple[np.ndarray, dict[str, object]]) -> ShardSource:
    write_shard(path, lines)
    return ShardSource(path, CHARSET)


def test_a_source_leaves_out_what_cannot_be_spelt_and_counts_it(tmp_path: Path) -> None:
    source = shard(tmp_path / "s", line(10, "ab"), line(10, "xy"), line(30, "c  d"))
    assert source.unspellable == ["xy"]
    assert [source.sample(0, i).text for i in range(len(source.usable))] == ["ab", "c d"]


def test_a_shard_that_spells_nothing_is_refused_by_name(tmp_path: Path) -> None:
    write_shard(tmp_path / "s", [line(10, "xyz")])
    with pytest.raises(UsageError, match=r"s has no line with a 'cased'.*relabel"):
        ShardSource(tmp_path / "s", CHARSET, "cased")


def test_ratios_are_of_the_line_without_its_margin(tmp_path: Path) -> None:
    assert shard(tmp_path / "s", line(48, "a", border=4)).ratios(0) == pytest.approx([3.0])


@pytest.mark.parametrize(("width", "bucket"), [(1, 0), (16, 0), (16.9, 0), (17, 1), (64, 2), (900, 2)])
def test_a_line_goes_into_the_narrowest_bucket_that_holds_it(width: float, bucket: int) -> None:
    assert SHAPE.bucket(np.asarray([width])).tolist() == [bucket]


def test_a_batch_is_a_pure_function_of_its_number(tmp_path: Path) -> None:
    source = shard(tmp_path / "s", line(10, "a"), line(30, "b"), line(60, "c"), line(300, "d"))
    first, second = (LineBatches([(source, 1.0)], CHARSET, SHAPE, jitter=0.2, seed=5) for _ in range(2))
    for number in (0, 7, 3, 7):
        torch.testing.assert_close(first[number].images, second[number].images, rtol=0, atol=0)
        assert first[number].texts == second[number].texts
    assert any(not torch.equal(first[0].targets, first[number].targets) for number in range(1, 9))


def test_batches_have_equal_columns_and_match_their_texts(tmp_path: Path) -> None:
    source = shard(tmp_path / "s", line(10, "a"), line(30, "b"), line(60, "c"))
    batches = LineBatches([(source, 1.0)], CHARSET, SHAPE)
    seen = set()
    for number in range(40):
        batch = batches[number]
        lines, channels, height, width = batch.images.shape
        assert (lines * width, channels, height) == (128, 1, 16)
        letter = {16: "a", 32: "b", 64: "c"}[width]
        assert set(batch.texts) == {letter}
        assert batch.targets.tolist() == [CHARSET.encode(letter)[0]] * lines
        assert batch.images[0, 0, 8, 4].item() == pytest.approx(ord(letter) / 127.5 - 1, abs=1e-6)
        seen.add(width)
    assert seen == {16, 32, 64}


def test_sources_give_their_shares_of_the_samples(tmp_path: Path) -> None:
    many = shard(tmp_path / "many", *[line(10, "a")] * 30)
    few = shard(tmp_path / "few", line(10, "b"), line(60, "b"))
    batches = LineBatches([(many, 3.0), (few, 1.0)], CHARSET, SHAPE)
    texts = [text for number in range(600) for text in batches[number].texts]
    assert texts.count("a") / len(texts) == pytest.approx(0.75, abs=0.04)


def test_made_lines_change_with_the_block_and_are_made_once(tmp_path: Path) -> None:
    made = []

    def make(index: int) -> tuple[np.ndarray, str]:
        made.append(index)
        return np.zeros((16, 30), np.uint8), "ab" if index < 10 else "é" if index < 15 else "cd"

    source = SyntheticSource(make, CHARSET, size=10)
    assert {source.sample(0, i).text for i in range(len(source.ratios(0)))} == {"ab"}
    assert len(source.ratios(1)) == 5  # the unspellable ones are left out
    assert source.sample(1, 0).text == "cd"
    assert made == list(range(20))


def test_without_jitter_the_warp_is_a_resize_of_the_line_without_margin() -> None:
    image = np.random.default_rng(2).integers(0, 256, (24, 48), np.uint8)
    out = warp_line(image, 4, 16, 100, STILL, 0.0)
    np.testing.assert_array_equal(out, image[4:20, 4:44])
    assert warp_line(image, 0, 16, 20, STILL, 0.0).shape == (16, 20)


def test_jitter_moves_the_edges_both_ways_but_not_past_the_margin() -> None:
    image = cv2.copyMakeBorder(np.zeros((16, 64), np.uint8), 4, 4, 4, 4, cv2.BORDER_CONSTANT, value=255)
    rng = np.random.default_rng(0)
    top = [warp_line(image, 4, 16, 200, rng, 0.3)[0, 32] for _ in range(60)]
    assert min(top) == 0 and max(top) == 255


def test_padding_enters_the_network_as_nothing() -> None:
    padded = pad(np.zeros((4, 3), np.uint8), 5)
    assert padded.shape == (4, 5) and abs(padded[0, 4] / 127.5 - 1) < 0.01


def test_dev_batches_hold_every_line_once(tmp_path: Path) -> None:
    source = shard(tmp_path / "s", *[line(w, "abcd"[w % 4]) for w in range(4, 90)])
    batches = dev_batches(source, CHARSET, SHAPE)
    assert sum(len(batch.texts) for batch in batches) == 86


def test_every_nth_dev_line_is_counted_over_the_shard_whatever_its_width(tmp_path: Path) -> None:
    source = shard(tmp_path / "s", *[line((10, 30, 60)[i % 3], "abcd"[i % 4]) for i in range(24)])
    batches = dev_batches(source, CHARSET, SHAPE, every=4)
    assert sorted((b.images.shape[3], text) for b in batches for text in b.texts) == [
        (width, "a") for width in (16, 16, 32, 32, 64, 64)
    ]


def test_colour_and_gray_crops_enter_either_network() -> None:
    gray, colour = np.zeros((16, 20), np.uint8), np.zeros((16, 20, 3), np.uint8)
    for color, shape in (("gray", (16, 32)), ("bgr", (16, 32, 3))):
        batches = LineBatches([], CHARSET, LineShape(16, (32,), 32, color))
        for image in (gray, colour):
            assert batches.prepare(Sample(image, "a", 0), 32, STILL).shape == shape
