"""run_local.sh with a stand-in for the command."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout whose commands only tell their arguments."""
    shutil.copy(ROOT / "run_local.sh", tmp_path)
    for name, line in (
        ("scripts/setup.sh", 'echo "setup $*"'),
        (".venv/bin/ppocr-beam", 'printf "job"; printf " [%s]" "$@"; echo'),
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"#!/bin/sh\n{line}\n")
        path.chmod(0o755)
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (
            ["--chars", "a b/", "gs://b/*"],
            ["setup pdf,gcp", "job [--chars] [a b/] [gs://b/*] [--output] [out]"],
        ),
        (["a", "--output", "x"], ["setup pdf", "job [a] [--output] [x]"]),
        (
            ["a", "--bundle", "ppocrv6-small"],
            ["setup pdf,ppocrv6", "job [a] [--bundle] [ppocrv6-small] [--output] [out]"],
        ),
        (["--bundle=careful", "-o", "x"], ["setup pdf,ppocrv6", "job [--bundle=careful] [-o] [x]"]),
        (["a", "-o", "x"], ["setup pdf", "job [a] [-o] [x]"]),
        (["a", "-o=x"], ["setup pdf", "job [a] [-o=x]"]),
        (["--output=x", "a"], ["setup pdf", "job [--output=x] [a]"]),
        (
            [],
            [
                "setup pdf",
                "job [HERE/samples] [--output] [out_samples]",
                "job [show] [out_samples]",
            ],
        ),
    ],
)  # fmt: skip
def test_arguments_go_to_the_job_as_they_are(
    checkout: Path, arguments: list[str], expected: list[str]
) -> None:
    done = subprocess.run(
        [checkout / "run_local.sh", *arguments], capture_output=True, text=True, check=True, cwd=checkout
    )
    assert done.stdout.replace(str(checkout), "HERE").splitlines() == expected
