from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.__main__ import main
from pipeline.commands import COMMANDS

ROOT = Path(__file__).parents[3]
HEAVY = ("PIL", "apache_beam", "cv2", "obstore", "onnxruntime", "pyarrow", "pypdfium2", "rich")


def run_main(code: str, *arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Runs `code` in front of the command, in a process of its own."""
    lines = ["import sys", code, f"sys.argv[1:] = {arguments!r}", "import runpy"]
    lines.append("runpy.run_module('pipeline', run_name='__main__', alter_sys=True)")
    changed = {"PYTHONPATH": str(ROOT)}
    words = [sys.executable, "-c", "\n".join(lines)]
    return subprocess.run(words, capture_output=True, text=True, cwd=cwd, env=os.environ | changed)


@pytest.mark.parametrize("arguments", [[], *([name] for name in COMMANDS)], ids=["job", *COMMANDS])
def test_help_imports_nothing_that_takes_long(arguments: list[str]) -> None:
    tell = "import atexit, json\natexit.register(lambda: print(json.dumps([*sys.modules]), file=sys.stderr))"
    done = run_main(tell, *arguments, "--help")
    assert done.returncode == 0
    assert done.stdout.startswith(" ".join(["usage: ppocr-beam", *arguments]))
    imported = json.loads(done.stderr)
    assert "pipeline.options" in imported
    assert not {name for name in imported if name.partition(".")[0] in HEAVY}


def test_the_jobs_help_names_all_commands(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["--help"])
    said = " ".join(capsys.readouterr().out.split())
    assert all(f"{name}: {what}" in said for name, what in COMMANDS.items())


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_is_found_by_its_name(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([name, "--version"]) == 0
    assert capsys.readouterr().out.startswith(f"ppocr-beam {name} ")


@pytest.mark.parametrize("name", COMMANDS)
def test_a_folder_that_is_called_like_a_command_is_named_in_another_way(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path)
    assert main([name, "--output", "out"]) == 2
    assert f"to read the folder {name}, name it ./{name}" in capsys.readouterr().err
    assert main([f"./{name}", "--output", "out"]) == 2
    assert "ppocr-beam: " in capsys.readouterr().err  # the job says that nothing is in it


@pytest.mark.parametrize("name", ["show", "report"])
def test_the_modules_that_once_were_commands_are_gone(name: str) -> None:
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module(f"pipeline.{name}")
