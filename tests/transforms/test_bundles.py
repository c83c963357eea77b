from __future__ import annotations

from pathlib import Path

import pytest

from models.records import InputError, UsageError
from tests.builders import tiny_bundle
from transforms import bundles, storage
from transforms.storage import Blob


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    tiny_bundle(tmp_path / "tiny")
    return tmp_path / "tiny"


@pytest.fixture
def bucket(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Serves gs://bucket/ from the bundle's parent folder; gives the list of what was read."""
    read: list[str] = []
    monkeypatch.setattr(bundles.tempfile, "gettempdir", lambda: str(tmp_path / "tmp"))

    def fake(uri: str) -> Blob:
        read.append(uri.removeprefix("gs://bucket/"))
        try:
            return Blob((folder.parent / read[-1]).read_bytes())
        except FileNotFoundError:
            raise InputError("not_found", f"{uri}: there is no such file") from None

    monkeypatch.setattr(storage, "read", fake)
    bundles.open_bundle.cache_clear()
    return read


@pytest.mark.parametrize("prefix", ["", "file://"])
def test_opens_a_folder(folder: Path, prefix: str) -> None:
    assert bundles.open_bundle(f"{prefix}{folder}", check=True).manifest.name == "tiny"


def test_tampered_file_is_refused_by_name_when_checked(folder: Path) -> None:
    (folder / "direction.onnx").write_bytes(b"something else")
    with pytest.raises(UsageError, match=r"direction\.onnx"):
        bundles.open_bundle(str(folder), check=True)


def test_unknown_bundle_is_a_usage_error() -> None:
    with pytest.raises(UsageError, match="no-such-bundle"):
        bundles.open_bundle("no-such-bundle")


def test_copies_a_bundle_from_object_storage_once(bucket: list[str]) -> None:
    bundle = bundles.open_bundle("gs://bucket/tiny")
    assert bundle.manifest.name == "tiny"
    assert bundle.folder.name == bundle.id
    assert sorted(bucket) == [
        "tiny/detection.onnx", "tiny/direction.onnx", "tiny/manifest.json", "tiny/recognition.onnx",
    ]  # fmt: skip
    bundles.open_bundle.cache_clear()
    bucket.clear()
    assert bundles.open_bundle("gs://bucket/tiny") == bundle
    assert bucket == ["tiny/manifest.json"]


def test_copied_files_are_checked(bucket: list[str], folder: Path) -> None:
    (folder / "recognition.onnx").write_bytes(b"something else")
    with pytest.raises(UsageError, match=r"recognition\.onnx"):
        bundles.open_bundle("gs://bucket/tiny")


def test_missing_remote_bundle_is_a_usage_error(bucket: list[str]) -> None:
    with pytest.raises(UsageError, match=r"gs://bucket/nothing.*no such file"):
        bundles.open_bundle("gs://bucket/nothing")
