from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from training.__main__ import COMMANDS, main, parse
from training.commands import settings


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main([command, "--help"])
    assert end.value.code == 0
    assert f"ppocr-train {command}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("behind", "asked"),
    [
        (
            ["--model", "detection", "recognition", "threads=5", "data.batch=2"],
            {"model": ["detection", "recognition"]},
        ),
        (["--freeze", "stages.0", "threads=5", "--workers", "1", "data.batch=2"], {"freeze": ["stages.0"]}),
        (["threads=5", "data.batch=2", "--held_out", "0.3"], {"held_out": 0.3}),
    ],
)
def test_settings_stand_behind_options_of_several_values(behind: list[str], asked: dict[str, object]) -> None:
    args = parse(["finetune", "--bundle", "latin", "--data", "my", "--output", "a=b", *behind])
    assert args.overrides == ["threads=5", "data.batch=2"] and str(args.output) == "a=b"
    assert {name: getattr(args, name) for name in asked} == asked


@pytest.mark.parametrize(
    "command",
    [
        ["synthesize", "pages", "--output", "x", "threads=5"],
        ["bundle", "--detector", "d", "--direction", "e", "--recognizer", "r", "--output", "x", "threads=5"],
    ],
)
def test_settings_of_a_command_that_has_none_are_refused(
    command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        main(command)
    assert end.value.code == 2 and "unrecognized arguments: threads=5" in capsys.readouterr().err


@pytest.mark.parametrize(
    "command",
    [
        ["train", "recognition_latin", "steps=5"],
        ["train", "--resume", "steps=5"],
        ["finetune", "--bundle", "latin", "--data", "my", "--model", "direction", "steps=5"],
        ["prune", "best.safetensors", "steps=5"],
        ["quantize", "best.safetensors", "steps=5"],
        ["ablate", "9", "--data", "a.yaml", "steps=5"],
    ],
    ids=lambda command: " ".join(command[:2]),
)
def test_steps_are_one_option_everywhere(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        parse([*command, "-o", "x"])
    assert end.value.code == 2
    assert "steps=5: the number of steps is an option, --steps 5" in capsys.readouterr().err
    args = parse([*command[:-1], "-o", "x", "--steps", "5"])
    assert (args.steps, settings(args), str(args.output)) == (5, ["steps=5"], "x")


def test_steps_are_the_configurations_unless_given() -> None:
    assert settings(parse(["train", "recognition_latin", "-o", "x"])) == []


def test_models_have_the_names_that_bundles_have() -> None:
    files = ["--direction", "c", "-o", "x"]
    for first, last in (("--detection", "--recognition"), ("--detector", "--recognizer")):
        args = parse(["bundle", first, "d", last, "r", *files])
        assert (str(args.detection), str(args.recognition), str(args.output)) == ("d", "r", "x")


def test_help_needs_no_torch() -> None:
    code = "import sys\nfrom training.__main__ import main\ntry: main(['--help'])\nexcept SystemExit: pass\n"
    code += "sys.exit('torch' in sys.modules or 'cv2' in sys.modules)"
    assert (
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, cwd=Path(__file__).parents[2]
        ).returncode
        == 0
    )


def test_without_the_extra_it_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("training.config.load_config", lambda *_: missing_torch())
    assert main(["train", "recognition", "--output", "x"]) == 2
    assert "torch is not installed; pip install 'ppocr-beam[training]'" in capsys.readouterr().err


def missing_torch() -> None:
    raise ModuleNotFoundError("No module named 'torch'", name="torch")


def test_data_goes_from_labels_to_a_shard_and_a_sheet(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.full((20, 40, 3), 255, np.uint8))
    regions = [
        {"transcription": t, "points": [[2, 2], [30, 2], [30, 12], [2, 12]]} for t in ("one", "", "日")
    ]
    labels = tmp_path / "Label.txt"
    labels.write_text(f"a.png\t{json.dumps(regions)}\n")
    assert main(["data", "check", str(labels)]) == 1
    out = capsys.readouterr().out
    assert "1 images, 3 lines" in out and "empty text: 1" in out and "not in the charset: 1" in out
    assert main(["data", "pack", str(labels), str(tmp_path / "shard")]) == 0
    assert main(["data", "preview", str(tmp_path / "shard"), str(tmp_path / "sheet.png")]) == 0
    assert cv2.imread(str(tmp_path / "sheet.png")) is not None
    assert main(["data", "crop", str(labels), str(tmp_path / "crops")]) == 0
    assert main(["data", "split", str(tmp_path / "crops" / "rec_gt.txt"), "--dev", "0.5"]) == 0
    assert main(["data", "pack", str(labels), str(tmp_path / "shard")]) == 2
    assert "exists already" in capsys.readouterr().err


@pytest.mark.parametrize(
    "command",
    [
        ["evaluate", "Label.txt", "--bundle", "latin", "--every", "0"],
        ["prune", "best.safetensors", "--output", "pruned", "--multiple", "0"],
    ],
    ids=lambda command: command[0],
)
def test_counts_from_1_are_told(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        main(command)
    assert end.value.code == 2
    assert f"{command[-2]}: must be 1 or more" in capsys.readouterr().err


def test_lines_are_not_marked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.full((20, 40, 3), 255, np.uint8))
    (tmp_path / "rec_gt.txt").write_text("a.png\tone\n")
    out = tmp_path / "Marked.txt"
    assert main(["data", "mark", str(tmp_path / "rec_gt.txt"), str(out), "--teacher", "latin"]) == 2
    assert "rec_gt.txt holds lines, not pages" in capsys.readouterr().err and not out.exists()


def test_an_evaluation_that_fails_leaves_no_empty_folder(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.full((20, 40, 3), 255, np.uint8))
    (tmp_path / "Label.txt").write_text("a.png\t[]\n")
    command = ["evaluate", str(tmp_path / "Label.txt"), "--output", str(tmp_path / "out")]
    assert main([*command, "--bundle", "none-such"]) == 2
    assert "none-such" in capsys.readouterr().err and not (tmp_path / "out").exists()
    (tmp_path / "out").mkdir()
    assert main([*command, "--bundle", "none-such"]) == 2
    assert (tmp_path / "out").is_dir()  # it was there before


def test_files_of_other_kinds_are_told_in_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("page.jpg", "net.onnx"):
        (tmp_path / name).write_bytes(b"\xff\xd8\xff\0" + bytes(range(256)) * 8)
    assert main(["data", "check", str(tmp_path / "page.jpg")]) == 2
    said = capsys.readouterr()
    assert "page.jpg is no label file" in said.err and not said.out and said.err.isascii()
    assert main(["quantize", str(tmp_path / "net.onnx"), "--output", str(tmp_path / "out")]) == 2
    said = capsys.readouterr()
    assert "net.onnx cannot be read as a checkpoint: it is no .safetensors" in said.err
    assert "ppocr-train recover" in said.err


def test_help_keeps_names_as_they_are_written(capsys: pytest.CaptureFixture[str]) -> None:
    for command, name in (("ablate", "PP-OCR"), ("prune", "FPGM"), ("quantize", "PACT")):
        with pytest.raises(SystemExit):
            main([command, "--help"])
        assert name in capsys.readouterr().out.split("positional arguments")[0].partition("\n\n")[2]
