from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from models.records import UsageError
from training.checkpoint import load_network, save_checkpoint
from training.config import build_config, load_config
from training.data.charset import Charset
from training.data.lines import LineBatch
from training.data.shards import write_shard
from training.networks import build_network
from training.tasks import recognition
from training.tasks.recognition import RecognitionSystem, SourceConfig, build, load_charset, make_source

CHARSET = Charset(("a", "b", " "))


def system(**data: Any) -> RecognitionSystem:
    options = {"widths": [4, 4, 4, 8], "neck": 8, "mixers": 1}
    tree = {
        "task": "recognition",
        "network": {"name": "line_net", "options": options},
        "data": data,
        "ema": 0.0,
    }
    torch.manual_seed(0)
    return RecognitionSystem(build_config(tree), CHARSET)


def batch(lines: int = 2, width: int = 64) -> LineBatch:
    images = torch.rand(lines, 1, 32, width) * 2 - 1
    return LineBatch(images, torch.tensor([1, 2] * lines), torch.full((lines,), 2), ("ab",) * lines)


def reading(
    monkeypatch: pytest.MonkeyPatch, net: RecognitionSystem, path: list[int]
) -> list[tuple[int, str, str]]:
    logits = torch.nn.functional.one_hot(torch.tensor([path]), 4).float()
    monkeypatch.setattr(net.net, "forward", lambda images: logits)
    return list(net.measure((0, batch(1))))


def test_readings_keep_spaces_and_fold_only_where_the_set_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    for fold, label in ((False, "ab"), (True, "ab")):
        net = system(dev=[{"name": "x", "shard": "none", "fold": fold}])
        assert reading(monkeypatch, net, [1, 1, 0, 3, 2, 0]) == [(0, label, "a b")]


def test_scores_are_of_each_set() -> None:
    net = system(dev=[{"name": "one", "shard": ""}, {"name": "two", "shard": ""}])
    rows = [(0, "ab", "ab"), (0, "abcd", "abxx"), (1, "a", "b")]
    expected = {"ned": 0.75, "exact": 0.5, "two_ned": 0.0, "two_exact": 0.0}
    assert net.summarise(rows) == pytest.approx(expected)


def test_the_loss_is_ctc_and_a_text_too_long_for_its_line_counts_nothing() -> None:
    net = system()
    assert 0 < net.loss(batch())["loss"].item() < 100
    long = LineBatch(torch.zeros(1, 1, 32, 8), torch.tensor([1] * 9), torch.tensor([9]), ("a" * 9,))
    assert net.loss(long)["loss"].item() == 0


class Parrot:
    """A teacher that sees the same letter everywhere."""

    charset = ("", "b", "a", "é")

    def __init__(self, path: Path) -> None:
        self.seen: list[tuple[int, ...]] = []

    def columns(self, line: np.ndarray) -> np.ndarray:
        self.seen.append(line.shape)
        return np.tile(np.float32([0.1, 0.0, 0.9, 0.0]), (5, 1))


def test_a_teacher_pulls_the_columns_towards_its_letters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recognition, "Teacher", Parrot)
    net = system(teacher="parrot.onnx", distillation=2.0)
    losses = net.loss(batch())
    torch.testing.assert_close(losses["loss"], losses["ctc"] + 2 * losses["distilled"])
    losses["distilled"].backward()
    pull = -net.net.classifier.bias.grad  # type: ignore[operator, union-attr]
    assert pull.argmax().item() == CHARSET.encode("a")[0]
    assert net.teacher is not None and net.teacher.seen == [(32, 64, 3)] * 2  # type: ignore[attr-defined]


def save_before(path: Path, charset: str) -> None:
    options = {"classes": len(charset) + 1, "widths": [4, 4, 4, 8], "neck": 8, "mixers": 1}
    weights = build_network("line_net", options).state_dict()
    state = {"network": {"name": "line_net", "options": options}, "charset": charset}
    save_checkpoint(path, {f"net.{name}": value for name, value in weights.items()}, state)


def test_kept_lines_are_held_to_what_was_said_of_them(tmp_path: Path) -> None:
    save_before(tmp_path / "before.safetensors", "ab")  # it does not know the space
    net = system(before=str(tmp_path / "before.safetensors"), keeping=3.0, sources=[{"keep": True}])
    plain, before = system().eval(), load_network(tmp_path / "before.safetensors")
    assert net.train().before is not None and not any(module.training for module in net.before.modules())
    net.eval()
    images = torch.rand(3, 1, 32, 64) * 2 - 1
    kept = torch.tensor([True, False, True])
    lines = LineBatch(images, torch.tensor([1, 2, 1, 2, 1, 3]), torch.full((3,), 2), ("ab", "ab", "a "), kept)
    losses = net.loss(lines)
    torch.testing.assert_close(losses["ctc"], plain.loss(lines)["loss"])
    # the second line is theirs, and the third one has a character that is new: nothing was said of these
    said, says = before(images[:1])[0].softmax(1), net.net(images[:1])[0].softmax(1)
    by_hand = -sum(float(said[t, k] * says[t, k].log()) for t in range(16) for k in range(3)) / 16 / 3
    assert losses["kept"].item() == pytest.approx(by_hand, rel=1e-4)
    torch.testing.assert_close(losses["loss"], losses["ctc"] + 3 * losses["kept"])
    unmarked = net.loss(lines._replace(kept=None))
    assert unmarked["kept"] == 0 and torch.isfinite(unmarked["loss"])


def test_another_order_of_characters_cannot_be_kept(tmp_path: Path) -> None:
    save_before(tmp_path / "before.safetensors", "ba")
    with pytest.raises(UsageError, match="are not the first ones of the charset"):
        system(before=str(tmp_path / "before.safetensors"), sources=[{"keep": True}])


def test_what_says_how_lines_are_read_is_said_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recognition, "Teacher", Parrot)
    save_before(tmp_path / "before.safetensors", "ab")
    with pytest.raises(UsageError, match="need each other"):
        system(before=str(tmp_path / "before.safetensors"))
    with pytest.raises(UsageError, match="need each other"):
        system(sources=[{"keep": True}])
    with pytest.raises(UsageError, match="exclude each other"):
        system(before=str(tmp_path / "before.safetensors"), sources=[{"keep": True}], teacher="parrot.onnx")


def test_lines_of_kept_sources_are_marked(tmp_path: Path) -> None:
    for name, grey in (("own", 50), ("other", 200)):
        pixels = np.full((32, 64, 3), grey, np.uint8)
        write_shard(tmp_path / name, ((pixels, {"text": "ab"}) for _ in range(3)))
    sources = f"[{{shard: '{tmp_path / 'own'}'}}, {{shard: '{tmp_path / 'other'}', keep: true}}]"
    save_before(tmp_path / "before.safetensors", "ab")
    settings = [
        f"data.sources={sources}",
        f"data.before={tmp_path / 'before.safetensors'}",
        "data.charset==ab",
        "data.shape.widths=[64]",
        "data.shape.columns=1024",
        "data.augment=[]",
    ]
    batch = build(load_config("recognition", settings)).train[0]
    assert batch.kept.tolist() == [bool(line.mean() > 0) for line in batch.images]
    assert 0 < batch.kept.sum() < 16


def test_a_charset_is_spelt_or_named() -> None:
    assert load_charset("=ab ").characters == ("a", "b", " ")
    assert "ß" in load_charset("latin").characters


@pytest.mark.parametrize("name", ["recognition", "recognition_large", "recognition_latin"])
def test_every_configuration_takes_a_step(name: str, tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (32, 64, 3), np.uint8)
    write_shard(tmp_path / "lines", ((pixels, {"text": "ab 12"}) for _ in range(3)))
    data = ["data.shape.widths=[64]", "data.shape.columns=128", "data.dev=[]"]
    task = build(load_config(name, [f"data.sources=[{{shard: '{tmp_path / 'lines'}'}}]", *data]))
    assert torch.isfinite(task.system.loss(task.train[0])["loss"])


def test_lines_with_strange_characters_are_told_in_one_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    texts = ["ab", "xa", "xy", *(f"b{char}" for char in "123456789")]
    write_shard(tmp_path / "s", [(np.zeros((16, 30), np.uint8), {"text": text}) for text in texts])
    make_source(SourceConfig(str(tmp_path / "s")), CHARSET)
    (said,) = [record.getMessage() for record in caplog.records]
    assert ": 11 lines left out, with characters that the charset lacks: 'x' (2), 'y' (1), '1' (1), " in said
    assert said.endswith("'6' (1) and 3 more")
