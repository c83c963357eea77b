from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import pytest
import torch

from training import checkpoint
from training.checkpoint import CheckpointError, load_checkpoint, load_network, save_checkpoint
from training.networks import build_network

OPTIONS = {"classes": 5, "widths": [4, 4, 4, 4], "neck": 8}


def write(path: Path) -> torch.nn.Module:
    network = build_network("line_net", OPTIONS)
    tensors = {f"net.{name}": value for name, value in network.state_dict().items()}
    tensors |= {f"ema.{name}": value + 1 for name, value in network.state_dict().items()}
    save_checkpoint(path, tensors, {"step": 3, "network": {"name": "line_net", "options": OPTIONS}})
    return network


def test_a_network_comes_back_with_its_averaged_weights(tmp_path: Path) -> None:
    network = write(tmp_path / "c.safetensors")
    for averaged, offset in ((True, 1), (False, 0)):
        loaded = load_network(tmp_path / "c.safetensors", averaged)
        assert not loaded.training
        for name, value in network.state_dict().items():
            torch.testing.assert_close(loaded.state_dict()[name], value + offset)


def test_a_changed_byte_is_found(tmp_path: Path) -> None:
    path = tmp_path / "c.safetensors"
    write(path)
    data = bytearray(path.read_bytes())
    data[-5] ^= 1
    path.write_bytes(data)
    with pytest.raises(CheckpointError, match=r"c\.safetensors is damaged"):
        load_checkpoint(path)


def test_a_changed_header_is_found(tmp_path: Path) -> None:
    path = tmp_path / "c.safetensors"
    write(path)
    path.write_bytes(path.read_bytes().replace(rb"\"step\": 3", rb"\"step\": 4"))
    with pytest.raises(CheckpointError, match="damaged"):
        load_checkpoint(path)


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", None], ids=["empty", "text", "missing"])
def test_what_is_no_checkpoint_is_refused_by_name(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "c.safetensors"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CheckpointError, match=r"c\.safetensors"):
        load_checkpoint(path)


def test_a_foreign_file_is_refused(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    save_file({"a": torch.zeros(1)}, tmp_path / "f.safetensors")
    with pytest.raises(CheckpointError, match="not written by ppocr-train"):
        load_checkpoint(tmp_path / "f.safetensors")


def test_a_full_disk_leaves_the_old_checkpoint_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "c.safetensors"
    write(path)
    before = path.read_bytes()

    def full(tensors: Any, target: Path, metadata: Any) -> None:
        Path(target).write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(checkpoint, "save_file", full)
    with pytest.raises(CheckpointError, match="No space left on device"):
        write(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
