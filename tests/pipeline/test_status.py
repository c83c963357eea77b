from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pipeline.status import tell

CODE = "import sys; from pipeline.status import tell; print(tell('all done') is None, file=sys.stderr)"


def test_results_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert tell("all done") is None
    assert capsys.readouterr().out == "all done\n"


@pytest.mark.parametrize("way", [">/dev/full", "| true", ">&-"], ids=["full", "reader gone", "closed"])
def test_a_result_that_cannot_be_printed_is_no_failure(way: str) -> None:
    script = f'{{ sleep 0.2; "$0" -c "$1"; echo "status $?" >&2; }} {way}'
    words = ["bash", "-c", script, sys.executable, CODE]
    done = subprocess.run(words, capture_output=True, text=True, cwd=Path(__file__).parents[2])
    assert done.stderr.splitlines()[1:] == ["status 0"]
    assert done.stderr.splitlines()[0] == str(way == ">&-")  # Python has no stdout then, and prints to nobody
