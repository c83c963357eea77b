from __future__ import annotations

from pathlib import Path

import pytest

from tests.builders import CAPITALS, tiny_bundle


@pytest.fixture(scope="session")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The folder of a bundle whose models take milliseconds."""
    folder = tmp_path_factory.mktemp("bundles") / "tiny"
    tiny_bundle(folder)
    return str(folder)


@pytest.fixture(scope="session")
def other_bundle(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The folder of a bundle with another id."""
    folder: Path = tmp_path_factory.mktemp("bundles") / "other"
    tiny_bundle(folder, "other")
    return str(folder)


@pytest.fixture(scope="session")
def second_bundle(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The folder of a bundle that reads capitals, and is very sure of them."""
    folder: Path = tmp_path_factory.mktemp("bundles") / "capitals"
    tiny_bundle(folder, "capitals", charset=CAPITALS, margin=0.1, confidence_shift=9.0)
    return str(folder)
