"""Bundles that are put together of others' models."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from models import bundle
from models.bundle import About, Bundle, load_bundle, with_second
from models.bundle_command import main
from models.compose import Composition, compose
from models.records import UsageError
from tests.builders import CAPITALS, CHARSET, tiny_bundle

TAKEN = {"detection": {"bundle": "one"}, "direction": {"bundle": "one"}, "recognition": {"bundle": "one"}}


@pytest.fixture(autouse=True)
def built_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the built-in bundles: `one`, and `two`, which reads capitals."""
    folder = tmp_path / "built-in"
    monkeypatch.setattr(bundle, "_BUILT_IN", folder)
    tiny_bundle(folder / "one", "one")
    tiny_bundle(folder / "two", "two", charset=CAPITALS)
    return folder


def written(folder: Path, **values: Any) -> Path:
    """A manifest that takes all models from `one`, but for these values."""
    folder.mkdir(parents=True, exist_ok=True)
    about = {"format": 1, "name": folder.name, "license": "MIT", "languages": [], "trained_on": []}
    (folder / "manifest.json").write_text(json.dumps({**about, **TAKEN, **values}))
    return folder


def composed(sources: dict[str, str], output: Path, **more: Any) -> Bundle:
    whole = dict.fromkeys(("detection", "direction", "recognition"), "one") | sources
    return compose(Composition(whole, **more), About("mine"), output)


def test_models_of_other_bundles_have_their_values_and_their_files(tmp_path: Path, built_in: Path) -> None:
    loaded = load_bundle(written(tmp_path / "b", recognition={"bundle": "two", "min_confidence": 0.25}))
    recognition = loaded.manifest.recognition
    assert (recognition.charset, recognition.min_confidence, recognition.bundle) == (CAPITALS, 0.25, "two")
    assert loaded.model_path(loaded.manifest.detection).samefile(built_in / "one" / "detection.onnx")
    assert loaded.manifest.second is None


def test_a_second_recogniser_is_another_bundles_first(tmp_path: Path) -> None:
    manifest = load_bundle(written(tmp_path, second={"bundle": "two"}, second_below=0.75)).manifest
    assert manifest.second is not None
    assert (manifest.second.charset, manifest.second_below) == (CAPITALS, 0.75)
    assert manifest.models[-1] is manifest.second


def test_the_id_covers_the_other_bundles_and_the_threshold(tmp_path: Path, built_in: Path) -> None:
    ids = [load_bundle(written(tmp_path / "b", second={"bundle": "two"})).id]
    ids.append(load_bundle(written(tmp_path / "b", second={"bundle": "two"}, second_below=0.5)).id)
    written(tmp_path / "b", second={"bundle": "two"})
    assert load_bundle(tmp_path / "b").id == ids[0]
    tiny_bundle(built_in / "two", "two", charset=CAPITALS, min_confidence=0.1)
    ids.append(load_bundle(tmp_path / "b").id)
    assert len(set(ids)) == 3


def test_a_changed_file_of_another_bundle_is_refused_by_name(tmp_path: Path, built_in: Path) -> None:
    written(tmp_path / "b", second={"bundle": "two"})
    path = built_in / "one" / "direction.onnx"
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(UsageError, match=r"one/direction\.onnx is not the file that the manifest names"):
        load_bundle(tmp_path / "b")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"recognition": {"bundle": "three"}}, "recognition: there is no built-in bundle 'three'"),
        ({"second": {"bundle": ["two"]}}, "not a bundle's manifest"),
        ({"second": {"bundle": "both"}}, "second: both is put together itself"),
        ({"second": {"bundle": "two", "bundle_id": "0" * 64}}, "compose the bundle again"),
        ({"second": {"bundle": "two", "margin": 11}}, "second.margin must be from 0 to 10"),
        ({"second": {"bundle": "two", "widths": []}}, "second.widths must be"),
        ({"second": {"bundle": "two"}, "second_below": 1.5}, "second_below must be from 0 to 1"),
        ({"second": {"bundle": "two"}, "second_below": "high"}, "second_below is 'high'"),
        ({"second": {"bundle": "two", "speed": 2}}, "unknown key 'speed'"),
        ({"second": {"bundle": "away"}}, "second: bundle 'away': its models are in the Python package"),
    ],
)
def test_what_cannot_be_is_said(values: dict[str, Any], message: str, tmp_path: Path, built_in: Path) -> None:
    written(built_in / "both", second={"bundle": "two"})
    tiny_bundle(built_in / "away", "away")
    manifest = json.loads((built_in / "away" / "manifest.json").read_text())
    (built_in / "away" / "manifest.json").write_text(json.dumps({**manifest, "package": "no_such_package"}))
    with pytest.raises(UsageError, match=message):
        load_bundle(written(tmp_path / "b", **values))


def test_compose_names_built_in_bundles_and_their_ids(tmp_path: Path, built_in: Path) -> None:
    made = composed({"second": "two"}, tmp_path / "b", second_below=0.7)
    assert [path.name for path in (tmp_path / "b").iterdir()] == ["manifest.json"]
    assert (made.manifest.second_below, made.manifest.recognition.charset) == (0.7, CHARSET)
    assert made.manifest.trained_on == load_bundle("one").manifest.trained_on
    tiny_bundle(built_in / "two", "two", charset=CAPITALS, min_confidence=0.1)
    with pytest.raises(UsageError, match="second is of the bundle two with the id"):
        load_bundle(tmp_path / "b")


def test_compose_copies_what_is_in_no_built_in_bundle(tmp_path: Path) -> None:
    tiny_bundle(tmp_path / "mine", "mine", charset=CAPITALS, min_confidence=0.3)
    made = composed({"second": str(tmp_path / "mine")}, tmp_path / "b")
    assert made.manifest.second is not None
    assert made.model_path(made.manifest.second) == tmp_path / "b" / "second.onnx"
    assert (made.manifest.second.min_confidence, made.manifest.second.bundle) == (0.3, "")
    moved = (tmp_path / "b").rename(tmp_path / "c")
    assert load_bundle(moved).id == made.id


def test_compose_of_a_composed_bundle_keeps_where_its_models_are_from(tmp_path: Path, built_in: Path) -> None:
    written(built_in / "both", recognition={"bundle": "two", "min_confidence": 0.2})
    made = composed({"recognition": "both"}, tmp_path / "b", overrides={"recognition.cell_gap": 0.5})
    recognition = json.loads((tmp_path / "b" / "manifest.json").read_text())["recognition"]
    two = load_bundle("two").id
    assert recognition == {"bundle": "two", "bundle_id": two, "min_confidence": 0.2, "cell_gap": 0.5}
    assert made.manifest.recognition.charset == CAPITALS


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ({"second.margin": 0.1}, "there is no model 'second'"),
        ({"recognition.file": "x"}, "recognition.file"),
        ({"recognition.speed": 2}, "unknown key 'speed'"),
    ],
)
def test_compose_leaves_nothing_where_it_cannot(
    overrides: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match=message):
        composed({}, tmp_path / "b", overrides=overrides)
    assert {path.name for path in tmp_path.iterdir()} == {"built-in"}


def test_the_command_composes_and_shows_the_parts(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = str(tmp_path / "b")
    asked = ["--second", "two", "--second_below", ".8", "--set", "second.margin=0.2"]
    assert main(["compose", "one", *asked, "--direction", "two", "-o", output]) == 0
    assert load_bundle(output).id in capsys.readouterr().out
    assert main(["show", output]) == 0
    shown = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert (shown["second_below"], shown["second.margin"]) == ("0.8", "0.2")
    assert (shown["second.bundle"], shown["direction.bundle"]) == ("two", "two")
    assert shown["second.bundle_id"] == load_bundle("two").id
    assert main(["show", "one"]) == 0
    assert "second" not in capsys.readouterr().out
    assert main(["compose", "one", "--second", "three", "-o", str(tmp_path / "c")]) == 2
    assert "three" in capsys.readouterr().err


def test_a_second_recogniser_for_any_bundle_makes_another_id(tmp_path: Path) -> None:
    one, two = load_bundle("one"), load_bundle("two")
    both = with_second(one, two)
    assert both.manifest.second is not None
    assert both.model_path(both.manifest.second) == two.model_path(two.manifest.recognition)
    other = tiny_bundle(tmp_path / "other", "other", charset=CAPITALS)
    assert len({one.id, both.id, with_second(one, other).id, with_second(two, one).id}) == 4


def test_what_is_put_together_cannot_be_cut(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    written(tmp_path / "b", second={"bundle": "two"})
    assert main(["cut", str(tmp_path / "b"), "--charset", "one", "-o", str(tmp_path / "c")]) == 2
    assert "is put together of others" in capsys.readouterr().err
