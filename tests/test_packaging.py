"""The wheel: what is in it, what it asks for, and that it works where nothing else is."""

from __future__ import annotations

import configparser
import importlib
import re
import shutil
import subprocess
import sys
import venv
import zipfile
from collections.abc import Iterator
from email.parser import Parser
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parent.parent
PACKAGES = ("models", "pipeline", "training", "transforms")
FILES = ("pyproject.toml", "setup.py", "README.md", "LICENSE", "ppocr_beam.py")
BUILD = "import setuptools.build_meta as b, sys; b.build_wheel(sys.argv[1])"
UNTESTED = {"dataflow"}  # extras whose dependencies constraints.txt leaves to whoever runs there


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the sources."""
    source = tmp_path_factory.mktemp("source")
    for name in FILES:
        shutil.copy(ROOT / name, source)
    for name in PACKAGES:
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("samples", "tests", "benchmarks", "docs"):  # must not get in
        (source / name).mkdir()
        (source / name / "stray.py").touch()
    return source


@pytest.fixture(scope="module")
def wheel(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel built from the copy."""
    dist = tmp_path_factory.mktemp("dist")
    subprocess.run([sys.executable, "-c", BUILD, str(dist)], cwd=source, check=True, capture_output=True)
    return next(dist.glob("*.whl"))


def test_building_leaves_no_folder_in_the_checkout(source: Path, wheel: Path) -> None:
    assert not (source / "build").exists()


def test_source_distribution_makes_the_same_wheel(wheel: Path, tmp_path: Path) -> None:
    """What `--setup_file` ships to workers is built into a wheel there."""
    source = tmp_path / "source"
    source.mkdir()
    for name in FILES:
        shutil.copy(ROOT / name, source)
    for name in PACKAGES:
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    subprocess.run([sys.executable, "setup.py", "sdist", "--dist-dir", tmp_path], cwd=source, check=True)
    shutil.unpack_archive(next(tmp_path.glob("*.tar.gz")), tmp_path)
    (unpacked,) = tmp_path.glob("ppocr_beam-*/")
    subprocess.run([sys.executable, "-c", BUILD, str(tmp_path)], cwd=unpacked, check=True)
    assert sorted(names(next(tmp_path.glob("*.whl")))) == sorted(names(wheel))


def names(wheel: Path) -> list[str]:
    return zipfile.ZipFile(wheel).namelist()


def dist_info(wheel: Path, name: str) -> str:
    archive = zipfile.ZipFile(wheel)
    return archive.read(next(n for n in archive.namelist() if n.endswith(f".dist-info/{name}"))).decode()


def sources() -> Iterator[str]:
    """The packages' files that a user needs."""
    for package in PACKAGES:
        for path in (ROOT / package).rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                yield path.relative_to(ROOT).as_posix()


def test_wheel_holds_the_four_packages_their_entry_and_nothing_else(wheel: Path) -> None:
    info = next(name for name in names(wheel) if ".dist-info/" in name).split("/")[0]
    assert {name.split("/")[0] for name in names(wheel)} == {*PACKAGES, "ppocr_beam.py", info}


def test_wheel_holds_every_file_of_the_packages(wheel: Path) -> None:
    assert sorted(set(sources()) - set(names(wheel))) == []
    assert "models/bundles/ppocrv6-small/manifest.json" in names(wheel)


def test_wheel_holds_no_pictures(wheel: Path) -> None:
    pictures = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".pdf")
    assert [name for name in names(wheel) if name.endswith(pictures)] == []


def test_console_scripts_are_there(wheel: Path) -> None:
    entry_points = configparser.ConfigParser()
    entry_points.read_string(dist_info(wheel, "entry_points.txt"))
    scripts = dict(entry_points["console_scripts"])
    assert sorted(scripts) == ["ppocr-beam", "ppocr-bundle", "ppocr-train"]
    for target in scripts.values():
        module, _, function = target.partition(":")
        assert callable(getattr(importlib.import_module(module), function))


def test_only_training_asks_for_torch(wheel: Path) -> None:
    metadata = Parser().parsestr(dist_info(wheel, "METADATA"))
    requirements = [Requirement(text) for text in metadata.get_all("Requires-Dist", [])]
    heavy = [r for r in requirements if r.name in ("torch", "lightning", "torch-pruning")]
    assert len(heavy) == 3
    for requirement in heavy:
        assert requirement.marker is not None
        assert requirement.marker.evaluate({"extra": "training"})
        assert not requirement.marker.evaluate({"extra": "pdf"})


def test_licence_and_version_come_from_one_place(wheel: Path) -> None:
    metadata = Parser().parsestr(dist_info(wheel, "METADATA"))
    assert metadata["License-Expression"] == "Apache-2.0"
    assert f"## {metadata['Version']}" in (ROOT / "CHANGELOG.md").read_text()
    stated = [
        path for path in sources() if path.endswith(".py") and "__version__" in (ROOT / path).read_text()
    ]
    assert stated == []


def test_constraints_name_versions_only() -> None:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = [line for line in lines if not line.startswith("#")]
    assert [line for line in pins if not re.fullmatch(r"[a-z0-9.-]+==[\w.]+( ; .+)?", line)] == []
    assert not any("://" in line or "--index" in line for line in lines)


def test_constraints_fit_what_the_wheel_asks_for(wheel: Path) -> None:
    pins: dict[str, list[Requirement]] = {}
    for line in (ROOT / "constraints.txt").read_text().splitlines():
        if not line.startswith("#"):
            pin = Requirement(line)
            pins.setdefault(pin.name, []).append(pin)
    metadata = Parser().parsestr(dist_info(wheel, "METADATA"))
    for requirement in map(Requirement, metadata.get_all("Requires-Dist", [])):
        if any(f'extra == "{extra}"' in str(requirement.marker) for extra in UNTESTED):
            continue
        assert requirement.name in pins, f"constraints.txt has no version of {requirement.name}"
        for pin in pins[requirement.name]:
            version = next(iter(pin.specifier)).version
            assert requirement.specifier.contains(version), f"{pin} is not {requirement}"


@pytest.mark.slow
def test_wheel_works_where_nothing_else_is(wheel: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "venv", with_pip=True)
    bin_folder = tmp_path / "venv" / "bin"
    install = [bin_folder / "python", "-m", "pip", "install", "--quiet", "-c", ROOT / "constraints.txt"]
    subprocess.run([*install, f"{wheel}[ppocrv6]"], check=True)
    for command, expected in [
        (["ppocr-beam", "--help"], "--input"),
        (["ppocr-bundle", "list"], "ppocrv6-small"),
        (["ppocr-bundle", "verify", "ppocrv6-small"], "every file is the one"),
    ]:
        arguments = [str(bin_folder / command[0]), *command[1:]]
        done = subprocess.run(arguments, check=True, capture_output=True, text=True, cwd=tmp_path)
        assert expected in done.stdout
