from __future__ import annotations

import json
from pathlib import Path

import cv2
import onnx
import pytest

from models.bundle import MODELS, About, load_bundle
from models.records import UsageError
from tests.training.tiny import CHARSET, tiny_models
from training.__main__ import main
from training.bundle import CARD, NOTICE, Limits, make_bundle, override, read_specimens, size
from training.checkpoint import load_network
from training.export import write_model
from training.graph import METADATA, load_trained, to_onnx
from training.specimen import TEXTS, specimen

ANY = Limits(least_words=0.0)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Untrained models, exported; they read nonsense, which is enough to put them together."""
    return tiny_models(tmp_path_factory.mktemp("models"), {"ned": 0.25})


def test_bundle_says_what_its_models_say(models: dict[str, Path], tmp_path: Path) -> None:
    overrides = {"detection.unclip_ratio": 0.9, "recognition.margin": 0.05}
    figures = {"receipts": {"images": 3, "words": 0.5, "detection": 0.75}}
    about = About("tiny", languages=("en",), trained_on=("ICDAR SROIE 2019", "mine"))
    bundle = make_bundle(models, about, tmp_path / "tiny", overrides=overrides, figures=figures, limits=ANY)
    manifest = load_bundle(tmp_path / "tiny").manifest
    assert manifest == bundle.manifest
    assert manifest.detection.unclip_ratio == 0.9
    assert (manifest.recognition.margin, manifest.recognition.output) == (0.05, "candidates")
    assert manifest.recognition.least_height == manifest.recognition.height
    assert "".join(manifest.recognition.charset) == CHARSET[1:]
    assert {path.name for path in (tmp_path / "tiny").iterdir()} == {
        "manifest.json", CARD, *(f"{name}.onnx" for name in MODELS)
    }  # fmt: skip
    card = (tmp_path / "tiny" / CARD).read_text("utf-8")
    for said in ("Model card: tiny", "ICDAR SROIE 2019", "| receipts | 3 | 0.500 | - | 0.750 |", "5 steps"):
        assert said in card
    assert 0.0 <= read_specimens(bundle, pages=1) <= 1.0


def test_card_says_how_each_models_weights_are_stored(models: dict[str, Path], tmp_path: Path) -> None:
    plain = tmp_path / "plain.onnx"
    write_model(to_onnx(load_trained(models["recognition"].with_suffix(".safetensors"))), plain)
    make_bundle({**models, "recognition": plain}, About("tiny"), tmp_path / "tiny", limits=ANY)
    card = (tmp_path / "tiny" / CARD).read_text("utf-8")
    stored = [row.split(" | ")[4] for row in card.splitlines() if ".onnx | " in row]
    assert stored == ["int8", "int8", "float32"]


def test_models_that_began_as_stock_weights_come_with_a_notice(
    models: dict[str, Path], tmp_path: Path
) -> None:
    file = onnx.load(models["recognition"])
    entry = next(entry for entry in file.metadata_props if entry.key == METADATA)
    said = json.loads(entry.value)
    said["training"]["network"]["name"] = "stock"
    entry.value = json.dumps(said)
    onnx.save(file, tmp_path / "stock.onnx")
    about = About("tiny", source="PP-OCRv6 tiny, trained on")
    make_bundle({**models, "recognition": tmp_path / "stock.onnx"}, about, tmp_path / "tiny", limits=ANY)
    notice = (tmp_path / "tiny" / NOTICE).read_text("utf-8")
    assert "PP-OCR's own: recognition (PP-OCRv6 tiny, trained on)" in notice
    assert "PaddlePaddle Authors" in notice and "Apache License, Version 2.0" in notice


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        pytest.param(
            Limits(max_bytes=1000, least_words=0), r"more than 1,000 \(.*: --max_bytes allows", id="too large"
        ),
        pytest.param(Limits(), "word F1 of 0.00, under 0.50", id="reads nothing"),
    ],
)
def test_refused_bundle_leaves_nothing(
    models: dict[str, Path], limits: Limits, message: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=message):
        make_bundle(models, About("tiny"), tmp_path / "tiny", limits=limits)
    assert not list(tmp_path.iterdir())


def test_models_in_each_others_place_are_refused(models: dict[str, Path], tmp_path: Path) -> None:
    swapped = {**models, "direction": models["recognition"]}
    with pytest.raises(UsageError, match=r"recognition\.onnx is a recognition model, given as the direction"):
        make_bundle(swapped, About("tiny"), tmp_path / "tiny", limits=ANY)
    assert not list(tmp_path.iterdir())


def test_folder_in_use_is_left_alone(models: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(UsageError, match="exists already"):
        make_bundle(models, About("tiny"), tmp_path, limits=ANY)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


@pytest.mark.parametrize("name", ["detection.unclip", "detector.limit", "recognition.charset", "limit"])
def test_override_that_means_nothing_is_refused(models: dict[str, Path], name: str) -> None:
    spec = load_trained(models["detection"].with_suffix(".safetensors")).spec
    with pytest.raises(UsageError, match=f"{name}: a bundle has no such value"):
        override({"detection": spec}, {name: 1})


def test_tampered_bundle_is_refused(models: dict[str, Path], tmp_path: Path) -> None:
    bundle = make_bundle(models, About("tiny"), tmp_path / "tiny", limits=ANY)
    before = size(bundle)
    with (tmp_path / "tiny" / "recognition.onnx").open("r+b") as file:
        file.seek(-100, 2)
        file.write(b"\x00")
    assert size(bundle) == before
    with pytest.raises(UsageError, match=r"recognition\.onnx is not the file that the manifest names"):
        load_bundle(tmp_path / "tiny")


def test_command_and_evaluation(
    models: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page = specimen(0)
    cv2.imwrite(str(tmp_path / "page.png"), page.image)
    labels = [{"transcription": line.text, "points": line.polygon.tolist()} for line in page.lines]
    (tmp_path / "Label.txt").write_text(f"page.png\t{json.dumps(labels)}\n", "utf-8")
    output = str(tmp_path / "tiny")
    asked = ["bundle", "--languages", "en", "de", "--output", output, "--least_words", "0"]
    for flag, name in (
        ("--detection", "detection"),
        ("--direction", "direction"),
        ("--recognition", "recognition"),
    ):
        asked += [flag, str(models[name])]
    assert main(asked) == 0
    manifest = load_bundle(output).manifest
    assert (manifest.name, manifest.languages, manifest.trained_on) == ("tiny", ("en", "de"), ())
    assert manifest.source == "trained from scratch by ppocr-train"
    scores = tmp_path / "scores"
    command = ["evaluate", str(tmp_path / "Label.txt"), "--output", str(scores)]
    assert main([*command, "--bundle", output]) == 0
    assert {path.name for path in scores.iterdir()} == {
        "scores.json", "images.csv", "readings.jsonl", "worst.html"
    }  # fmt: skip
    perfect = {
        "image": "page.png",
        "lines": [{"poly": each["points"], "text": each["transcription"]} for each in labels],
    }
    (tmp_path / "read.jsonl").write_text(json.dumps(perfect), "utf-8")
    assert main([*command, "--predictions", str(tmp_path / "read.jsonl")]) == 0
    pages = json.loads((scores / "scores.json").read_text("utf-8"))["pages"]
    assert (pages["words"], pages["detection"], pages["end_to_end"]) == (1.0, 1.0, 1.0)
    assert main([*command, "--bundle", output, "--lines"]) == 0
    assert json.loads((scores / "scores.json").read_text("utf-8"))["lines"]["count"] == len(TEXTS)
    assert "1-NED" in capsys.readouterr().out


def test_networks_of_checkpoints_are_in_evaluation(models: dict[str, Path]) -> None:
    assert not load_network(models["direction"].with_suffix(".safetensors")).training
