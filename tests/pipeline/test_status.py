from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.status import tell
from tests.fake_cloud import running

ROOT = Path(__file__).parents[2]
CODE = "import sys; from pipeline.status import tell; print(tell('all done') is None, file=sys.stderr)"


def test_results_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert tell("all done") is None
    assert capsys.readouterr().out == "all done\n"


@pytest.mark.parametrize("way", [">/dev/full", "| true", ">&-"], ids=["full", "reader gone", "closed"])
def test_a_result_that_cannot_be_printed_is_no_failure(way: str) -> None:
    script = f'{{ sleep 0.2; "$0" -c "$1"; echo "status $?" >&2; }} {way}'
    words = ["bash", "-c", script, sys.executable, CODE]
    done = subprocess.run(words, capture_output=True, text=True, cwd=ROOT)
    assert done.stderr.splitlines()[1:] == ["status 0"]
    assert done.stderr.splitlines()[0] == str(way == ">&-")  # Python has no stdout then, and prints to nobody


def test_leaving_does_what_is_registered_and_takes_nothing_apart() -> None:
    code = """
import atexit, sys
from pipeline.status import leave
class Foreign:
    def __del__(self):
        print("taken apart", flush=True)
sys.foreign = Foreign()
atexit.register(print, "done at the end")
print("said", end=" ")
leave(3)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert (done.returncode, done.stdout, done.stderr) == (3, "said done at the end\n", "")


@pytest.mark.parametrize(
    "arguments",
    [
        ["s3://bucket/none", "-o", "s3://bucket/out"],
        ["report", "s3://bucket/none"],
        ["show", "s3://bucket/none"],
    ],
    ids=["job", "report", "show"],
)
def test_commands_that_may_have_used_a_bucket_end_by_leaving(arguments: list[str]) -> None:
    code = f"import runpy, sys; sys.argv[1:] = {arguments}"
    code += """
class Foreign:
    def __del__(self):
        print("taken apart", flush=True)
sys.foreign = Foreign()
"""
    code += "runpy.run_module('pipeline', run_name='__main__', alter_sys=True)"
    with running() as cloud:
        changed = {"AWS_ENDPOINT_URL": cloud.url, "AWS_REGION": "us-east-1", "PPOCR_BEAM_NO_AUTH": "1"}
        words = [sys.executable, "-c", code]
        done = subprocess.run(words, capture_output=True, text=True, cwd=ROOT, env=os.environ | changed)
    assert (done.returncode, done.stdout) == (2, "")
    assert "s3://bucket" in done.stderr and done.stderr.count("\n") == 1
