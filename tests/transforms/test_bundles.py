from __future__ import annotations

import os
import stat
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
    (tmp_path / "tmp").mkdir()
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


def test_opens_a_folder_by_a_uri_with_escapes(tmp_path: Path) -> None:
    tiny_bundle(tmp_path / "my tiny, 100 %")
    bundles.open_bundle.cache_clear()
    assert bundles.open_bundle(f"file://{tmp_path}/my%20tiny,%20100%20%25").manifest.name == "tiny"


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


@pytest.mark.parametrize("name", ["manifest.json", "recognition.onnx"])
def test_a_copy_that_was_changed_is_copied_again(name: str, bucket: list[str]) -> None:
    bundle = bundles.open_bundle("gs://bucket/tiny")
    before = (bundle.folder / name).read_bytes()
    (bundle.folder / name).write_bytes(before + b" ")
    bundles.open_bundle.cache_clear()
    assert bundles.open_bundle("gs://bucket/tiny") == bundle
    assert (bundle.folder / name).read_bytes() == before


def test_copies_are_the_users_alone(bucket: list[str]) -> None:
    folder = bundles.open_bundle("gs://bucket/tiny").folder.parent
    assert folder.name == f"ppocr-beam-{os.getuid()}"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


@pytest.mark.parametrize("kind", ["open to others", "a link", "a file", "another user's"])
def test_a_folder_for_copies_that_others_can_write_to_is_refused(
    kind: str, bucket: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "tmp" / f"ppocr-beam-{os.getuid()}"
    if kind == "a link":
        (tmp_path / "elsewhere").mkdir(mode=0o700)
        folder.symlink_to(tmp_path / "elsewhere")
    elif kind == "a file":
        folder.touch()
    else:
        folder.mkdir()
        folder.chmod(0o777 if kind == "open to others" else 0o700)
    if kind == "another user's":
        monkeypatch.setattr(bundles.os, "getuid", lambda: int(folder.name.rpartition("-")[2]) + 1)
        folder.rename(folder.with_name(f"ppocr-beam-{os.getuid()}"))
    with pytest.raises(UsageError, match="not a folder of yours alone"):
        bundles.open_bundle("gs://bucket/tiny")
