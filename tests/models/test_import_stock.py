from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.bundle import About, load_bundle
from models.import_stock import GENERATIONS, StockModels, describe, import_stock
from models.reader import Reader, ReadOptions
from models.records import UsageError
from tests.models.stock_models import save_classifier, save_detector, save_recognizer

ABOUT = About("tiny", languages=("en",))
CHARACTERS = (
    "a",
    "b",
    "\u3000",
    "\x85",
    "é",
)  # two of them are line breaks or spaces to str.splitlines and strip


@pytest.fixture
def stock(tmp_path: Path) -> StockModels:
    """Files of a v4 kind: five characters in the metadata, seven classes."""
    return StockModels(
        "v4",
        detection=save_detector(tmp_path / "det.onnx"),
        direction=save_classifier(tmp_path / "cls.onnx"),
        recognition=save_recognizer(tmp_path / "rec.onnx", classes=7, characters=CHARACTERS),
    )


def test_imported_bundle_loads_with_all_checks(stock: StockModels, tmp_path: Path) -> None:
    import_stock(stock, ABOUT, tmp_path / "bundle")
    bundle = load_bundle(tmp_path / "bundle")
    assert bundle.manifest.name == "tiny"
    assert bundle.manifest.recognition.charset == (*CHARACTERS, " ")
    for model, original in [
        (bundle.manifest.detection, stock.detection),
        (bundle.manifest.direction, stock.direction),
        (bundle.manifest.recognition, stock.recognition),
    ]:
        assert model.sha256 == hashlib.sha256(original.read_bytes()).hexdigest()
        assert bundle.model_path(model).read_bytes() == original.read_bytes()


def test_direction_classifier_is_that_of_latin_unless_given(stock: StockModels, tmp_path: Path) -> None:
    overrides = {"direction.threshold": 0.8}
    bundle = import_stock(replace(stock, direction=None, overrides=overrides), ABOUT, tmp_path / "bundle")
    latin = load_bundle("latin").manifest.direction
    assert bundle.manifest.direction == replace(latin, file="direction.onnx", threshold=0.8)
    page = np.full((64, 200, 3), 255, np.uint8)
    page[20:40, 20:180] = 0
    found = Reader(bundle, ReadOptions(direction="all")).read(page)  # colour for the others, grey for it
    assert all(line.direction_confidence is not None for line in found.lines)


def test_importing_twice_gives_the_same_id(stock: StockModels, tmp_path: Path) -> None:
    first = import_stock(stock, ABOUT, tmp_path / "first")
    second = import_stock(stock, ABOUT, tmp_path / "second")
    assert first.id == second.id


def test_a_leftover_of_a_killed_import_is_replaced(stock: StockModels, tmp_path: Path) -> None:
    leftover = tmp_path / "bundle.part"
    leftover.mkdir()
    (leftover / "old.onnx").touch()
    import_stock(stock, ABOUT, tmp_path / "bundle")
    assert not leftover.exists()
    assert not (tmp_path / "bundle" / "old.onnx").exists()


@pytest.mark.parametrize(
    ("generation", "height"), [("v2", 32), ("v3", 48), ("v4", 48), ("v5", 48), ("v6", 48)]
)
def test_generations_differ_in_the_height_of_lines(
    stock: StockModels, tmp_path: Path, generation: str, height: int
) -> None:
    recognizer = save_recognizer(tmp_path / "other.onnx", classes=7, characters=CHARACTERS, height=height)
    manifest = describe(replace(stock, generation=generation, recognition=recognizer), ABOUT)
    assert manifest.recognition.height == height
    assert (manifest.direction.height, manifest.direction.width) == (48, 192)
    assert manifest.detection.mean == (0.485, 0.456, 0.406)
    assert manifest.recognition.mean == (0.5, 0.5, 0.5)
    assert (
        manifest.detection.threshold,
        manifest.detection.box_threshold,
        manifest.detection.unclip_ratio,
    ) == (
        0.3,
        0.6,
        1.5,
    )


def test_every_generation_is_known() -> None:
    assert list(GENERATIONS) == ["v2", "v3", "v4", "v5", "v6"]


@pytest.mark.parametrize(
    ("classes", "charset"),
    [(6, ("x", "y", "z", "1", "2")), (7, ("x", "y", "z", "1", "2", " "))],
    ids=["without a space", "space last"],
)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_dictionary_goes_before_metadata(
    stock: StockModels, tmp_path: Path, classes: int, charset: tuple[str, ...], end: str
) -> None:
    dictionary = tmp_path / "keys.txt"
    dictionary.write_bytes("".join(char + end for char in "xyz12").encode("utf-8-sig"))
    recognizer = save_recognizer(tmp_path / "other.onnx", classes, CHARACTERS)
    manifest = describe(replace(stock, recognition=recognizer, dictionary=dictionary), ABOUT)
    assert manifest.recognition.charset == charset


def test_overrides_reach_the_manifest(stock: StockModels) -> None:
    overrides = {"detection.unclip_ratio": 1.6, "recognition.widths": (64, 128), "direction.threshold": 0.8}
    manifest = describe(replace(stock, overrides=overrides), ABOUT)
    assert manifest.detection.unclip_ratio == 1.6
    assert manifest.recognition.widths == (64, 128)
    assert manifest.direction.threshold == 0.8


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"recognition.hight": 32}, r"recognition\.hight: there is no such value, only .*height"),
        ({"recogniser.height": 32}, "there is no model 'recogniser', only detection, direction, recognition"),
        ({"detection.sha256": "00"}, r"detection\.sha256: there is no such value"),
        ({"recognition.widths": 320}, "widths is 320, which is not of the kind"),
        ({"recognition.height": 40}, r"rec\.onnx does not take 320 x 40 pixels"),
    ],
)
def test_override_that_fits_nothing_is_refused(
    stock: StockModels, overrides: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        describe(replace(stock, overrides=overrides), ABOUT)


@pytest.mark.parametrize(
    ("role", "given", "message"),
    [
        ("detection", "direction", r"cls\.onnx is not a detector: it answers with an array \(1, 2\)"),
        ("direction", "detection", r"det\.onnx is not a direction classifier"),
        ("recognition", "direction", r"cls\.onnx is not a recogniser: it answers with an array \(1, 2\)"),
    ],
)
def test_swapped_files_are_refused(stock: StockModels, role: str, given: str, message: str) -> None:
    swapped = replace(stock, **{role: getattr(stock, given)})
    with pytest.raises(UsageError, match=message):
        describe(swapped, ABOUT)


@pytest.mark.parametrize("classes", [5, 8], ids=["too few", "too many"])
def test_classes_must_fit_the_characters(stock: StockModels, tmp_path: Path, classes: int) -> None:
    recognizer = save_recognizer(tmp_path / "other.onnx", classes, CHARACTERS)
    with pytest.raises(UsageError, match=f"lists 5 characters, but other.onnx has {classes} classes"):
        describe(replace(stock, recognition=recognizer), ABOUT)


def test_charset_must_come_from_somewhere(stock: StockModels, tmp_path: Path) -> None:
    recognizer = save_recognizer(tmp_path / "bare.onnx", classes=7)
    with pytest.raises(UsageError, match=r"bare\.onnx does not list its characters.*--dictionary"):
        describe(replace(stock, recognition=recognizer), ABOUT)


def test_logits_are_refused(stock: StockModels, tmp_path: Path) -> None:
    recognizer = save_recognizer(tmp_path / "logits.onnx", 7, CHARACTERS, softmax=False)
    with pytest.raises(UsageError, match=r"logits\.onnx answers with logits"):
        describe(replace(stock, recognition=recognizer), ABOUT)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"generation": "v9"}, "generation 'v9' is none of v2, v3, v4, v5, v6"),
        ({"detection": Path("nowhere.onnx")}, r"nowhere\.onnx: no such file"),
        ({"dictionary": Path("nowhere.txt")}, r"nowhere\.txt: No such file"),
    ],
)
def test_what_is_not_there_is_named(stock: StockModels, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        describe(replace(stock, **changes), ABOUT)


def test_files_that_are_no_models_are_named(stock: StockModels, tmp_path: Path) -> None:
    (tmp_path / "text.onnx").write_text("not a model")
    with pytest.raises(UsageError, match=r"text\.onnx cannot be loaded"):
        describe(replace(stock, detection=tmp_path / "text.onnx"), ABOUT)


def test_dictionary_must_be_utf8(stock: StockModels, tmp_path: Path) -> None:
    (tmp_path / "latin1.txt").write_bytes(b"\xe9\n")
    with pytest.raises(UsageError, match=r"latin1\.txt is not a dictionary in UTF-8"):
        describe(replace(stock, dictionary=tmp_path / "latin1.txt"), ABOUT)


def test_output_in_use_is_left_alone(stock: StockModels, tmp_path: Path) -> None:
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "precious").touch()
    with pytest.raises(UsageError, match="used exists already"):
        import_stock(stock, ABOUT, tmp_path / "used")
    assert [path.name for path in (tmp_path / "used").iterdir()] == ["precious"]
