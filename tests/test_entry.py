"""Commands run the installed code, whatever lies where they are run or where PYTHONPATH leads."""

from __future__ import annotations

import importlib.metadata
import itertools
import os
import subprocess
import sys
from pathlib import Path

import pytest

import ppocr_beam
from tests.builders import tiny_bundle, write_pages

INTERRUPTING = """
import os, signal, sys
class Interrupting:
    @staticmethod
    def find_spec(name, *_):
        if name == "numpy":
            sys.meta_path.remove(Interrupting)
            os.kill(os.getpid(), signal.{signal})
sys.meta_path.insert(0, Interrupting)
"""
"""Sends the process a signal while it imports; Python runs it as `sitecustomize`."""

SCRIPTS = Path(sys.executable).parent
OURS = ("models", "pipeline", "transforms")
THEIRS = ("multiprocessing", "onnxruntime", "socket", "logging")


def traps(folder: Path, *names: str) -> Path:
    """Modules that leave a trace when they are run."""
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / f"{name}.py").write_text(f"open({str(folder / 'RUN')!r}, 'a').write({name!r})\n")
    return folder


def test_help_runs_nothing_of_the_working_folder_or_of_pythonpath(tmp_path: Path) -> None:
    here, path = traps(tmp_path / "here", *OURS, *THEIRS), traps(tmp_path / "path", *OURS)
    environment = {**os.environ, "PYTHONPATH": f"{path}{os.pathsep}"}  # an empty entry is the working folder
    for command in ("ppocr-beam", "ppocr-bundle"):
        words = [SCRIPTS / command, "--help"]
        done = subprocess.run(words, cwd=here, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    assert not list(tmp_path.rglob("RUN"))


@pytest.mark.parametrize("command", ["ppocr-beam", "ppocr-bundle", "ppocr-train"])
def test_every_command_says_its_version(command: str) -> None:
    done = subprocess.run([SCRIPTS / command, "--version"], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, f"{command} {importlib.metadata.version('ppocr-beam')}\n")


@pytest.mark.parametrize(
    ("command", "number"),
    [
        *itertools.product(["ppocr-beam", "-m pipeline", "-m pipeline report"], ["SIGINT", "SIGTERM"]),
        *itertools.product(["-m pipeline show", "ppocr-bundle", "ppocr-train"], ["SIGINT"]),
    ],
)
def test_a_command_that_is_interrupted_while_it_imports_says_so_in_a_line(
    tmp_path: Path, command: str, number: str
) -> None:
    words = command.split() if command.startswith("-m") else [str(SCRIPTS / command)]
    (tmp_path / "sitecustomize.py").write_text(INTERRUPTING.format(signal=number))
    path = f"{tmp_path}{os.pathsep}{ppocr_beam.ROOT}"
    done = subprocess.run(
        [sys.executable, *words, "x"],
        cwd=tmp_path.parent,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (130, "ppocr-beam: Interrupted.\n")


@pytest.mark.parametrize("command", ["bundle", "train"])
def test_a_command_whose_ctrl_c_is_ignored_goes_on_ignoring_it(command: str) -> None:
    code = (
        "import signal, sys; signal.signal(signal.SIGINT, signal.SIG_IGN); sys.argv[1:] = ['--version']\n"
        f"import ppocr_beam\ntry: ppocr_beam.{command}()\n"
        "except SystemExit: sys.exit(signal.getsignal(signal.SIGINT) != signal.SIG_IGN)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ppocr_beam.ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


def test_modules_that_are_run_by_name_run_nothing_of_the_working_folder(tmp_path: Path) -> None:
    here = traps(tmp_path / "here", *OURS[:1], *OURS[2:], *THEIRS)  # Python itself looks for `pipeline` there
    words = [sys.executable, "-m", "pipeline", "report", "none"]
    done = subprocess.run(words, cwd=here, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith("ppocr-beam report: ")
    assert not (here / "RUN").exists()


def test_no_process_of_a_job_looks_in_the_working_folder(tmp_path: Path) -> None:
    here, path = traps(tmp_path / "here", *OURS, *THEIRS, "apache_beam"), traps(tmp_path / "path", *OURS)
    write_pages(here, 2)
    tiny_bundle(tmp_path / "bundle")
    long = tmp_path / ("x" * 100)  # beyond what the name of a socket may have
    long.mkdir()
    changed = {"PYTHONPATH": str(path), "TMPDIR": str(long), "http_proxy": "http://127.0.0.1:9"}
    words = [SCRIPTS / "ppocr-beam", ".", "--output", tmp_path / "out", "--bundle", tmp_path / "bundle"]
    done = subprocess.run(
        [*words, "--workers", "1"], cwd=here, env=os.environ | changed, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "Read 2 pages" in done.stdout
    assert not list(tmp_path.rglob("RUN"))


def test_the_working_folder_stays_where_the_project_lies_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    paths = ["", ".", str(tmp_path), os.curdir, str(tmp_path / "other")]
    assert list(filter(ppocr_beam.elsewhere, paths)) == [str(tmp_path / "other")]
    monkeypatch.setattr(ppocr_beam, "ROOT", str(tmp_path))
    assert list(filter(ppocr_beam.elsewhere, paths)) == paths
