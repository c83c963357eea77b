from __future__ import annotations

from pathlib import Path

import pytest

from models.bundle import load_bundle
from models.bundle_command import main
from tests.models.stock_models import save_classifier, save_detector, save_recognizer


@pytest.fixture
def arguments(tmp_path: Path) -> list[str]:
    """An import of tiny models into `tmp_path / "tiny"`."""
    return [
        "import",
        "--generation=v3",
        f"--detection={save_detector(tmp_path / 'det.onnx')}",
        f"--direction={save_classifier(tmp_path / 'cls.onnx')}",
        f"--recognition={save_recognizer(tmp_path / 'rec.onnx', classes=4, characters='xy')}",
        f"--output={tmp_path / 'tiny'}",
    ]


@pytest.fixture
def bundle(arguments: list[str], tmp_path: Path) -> Path:
    assert main(arguments) == 0
    return tmp_path / "tiny"


def test_import_writes_what_was_asked(arguments: list[str], tmp_path: Path) -> None:
    options = [
        "--languages",
        "en",
        "de",
        "--license",
        "MIT",
        "--set",
        "detection.limit=1280",
        "--set",
        "direction.threshold=1",
    ]
    assert main([*arguments, *options]) == 0
    manifest = load_bundle(tmp_path / "tiny").manifest
    assert (manifest.name, manifest.license, manifest.languages) == ("tiny", "MIT", ("en", "de"))
    assert (manifest.detection.limit, manifest.direction.threshold) == (1280, 1)
    assert manifest.recognition.charset == ("x", "y", " ")


def test_import_reports_the_id(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(arguments)
    assert f"3 characters, 0.0 MB, id {load_bundle(tmp_path / 'tiny').id}" in capsys.readouterr().out


def test_show_prints_every_value(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", str(bundle)]) == 0
    shown = {line.split()[0]: " ".join(line.split()[1:]) for line in capsys.readouterr().out.splitlines()}
    assert shown["name"] == "tiny"
    assert shown["id"] == load_bundle(bundle).id
    assert shown["recognition.height"] == "48"
    assert shown["detection.mean"] == "0.485 0.456 0.406"
    assert shown["recognition.charset"] == "3 characters: xy"


def test_verify_says_so(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", str(bundle)]) == 0
    assert "every file is the one" in capsys.readouterr().out


def test_verify_names_a_changed_file(bundle: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with (bundle / "detection.onnx").open("ab") as file:
        file.write(b"\0")
    assert main(["verify", str(bundle)]) == 1
    printed = capsys.readouterr().out
    assert "detection.onnx is not the file that the manifest names" in printed
    assert "recognition.onnx" not in printed


def test_list_names_the_built_in_bundles_and_what_they_read(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list"]) == 0
    listed = dict(line.split("\t", 1) for line in capsys.readouterr().out.splitlines())
    assert "\treads Latin\t" in listed["latin"]
    assert "\treads Latin, Hiragana, Katakana, Han\t" in listed["ppocrv6-small"]


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["show", "nope"], "bundle 'nope': no manifest.json there"),
        (["verify", "nope"], "bundle 'nope': no manifest.json there"),
        (["import", "--set", "height"], "'height' is not MODEL.KEY=VALUE"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_status_2(
    argv: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(argv) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--output=.", ". exists already; name a new folder for the bundle"),
        ("--output=det.onnx/in", "[Errno 20] Not a directory: 'det.onnx/in.part'"),
        (
            "--set=recognition.widths=320",
            "--set: recognition.widths is 320, which is not of the kind tuple[int, ...]",
        ),
        ("--set=recognition.widths=[]", "--set: recognition.widths must be a non-empty ascending list"),
    ],
)
def test_import_that_cannot_be_is_one_line(
    arguments: list[str],
    option: str,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty" if option.endswith("=.") else tmp_path)
    before = sorted(tmp_path.rglob("*"))
    assert main([*arguments, option]) == 2
    assert capsys.readouterr().err == f"ppocr-bundle: {message}\n"
    assert sorted(tmp_path.rglob("*")) == before


def test_import_with_fewer_characters(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "few.txt").write_text("y\nß\n", encoding="utf-8")
    assert main([*arguments, f"--charset={tmp_path / 'few.txt'}"]) == 0
    assert load_bundle(tmp_path / "tiny").manifest.recognition.charset == ("y", " ")
    assert "not among the recogniser's characters: ß" in capsys.readouterr().out


def test_charset_of_a_built_in_bundle(arguments: list[str], tmp_path: Path) -> None:
    recognizer = save_recognizer(tmp_path / "rec.onnx", classes=5, characters="漢xy")
    assert main([*arguments, f"--recognition={recognizer}", "--charset=latin"]) == 0
    assert load_bundle(tmp_path / "tiny").manifest.recognition.charset == ("x", "y", " ")


def test_cut_copies_a_bundle_and_its_values(bundle: Path, tmp_path: Path) -> None:
    (tmp_path / "few.txt").write_text("x\n", encoding="utf-8")
    assert (
        main(["cut", str(bundle), f"--charset={tmp_path / 'few.txt'}", f"--output={tmp_path / 'cut'}"]) == 0
    )
    before, after = load_bundle(bundle).manifest, load_bundle(tmp_path / "cut").manifest
    assert after.name == "cut"
    assert after.recognition.charset == ("x", " ")
    assert (after.detection, after.direction) == (before.detection, before.direction)
    assert after.recognition.widths == before.recognition.widths


def test_what_tells_decisions_only_cannot_be_cut(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cut", "latin", "--charset=latin", f"--output={tmp_path / 'cut'}"]) == 2
    assert "tells decisions only" in capsys.readouterr().err
    assert not (tmp_path / "cut").exists()


@pytest.mark.parametrize(
    ("name", "hint"),
    [("latn", "did you mean latin?"), ("qqqq", "there are careful, chinese, latin, ppocrv6-small")],
)
def test_a_charset_that_is_nowhere_is_one_line(
    name: str, hint: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["cut", "ppocrv6-small", f"--charset={name}", f"--output={tmp_path / 'cut'}"]) == 2
    said = capsys.readouterr().err
    assert said == f"ppocr-bundle: there is no file {name} and no bundle of this name: {hint}\n"
