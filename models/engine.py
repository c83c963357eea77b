"""Which inference engine runs the models: ONNX Runtime, or OpenVINO where it gains. Imports neither."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Literal, get_args

from models.records import UsageError

Engine = Literal["auto", "onnxruntime", "openvino"]
ENGINES: tuple[Engine, ...] = get_args(Engine)
BF16 = frozenset(("avx512_bf16", "amx_bf16"))
"""Instructions of CPUs that multiply bfloat16, as Linux calls them."""


def cpu_flags(file: Path = Path("/proc/cpuinfo")) -> frozenset[str]:
    """What the CPU can do, as Linux tells it; nothing where the system is another."""
    try:
        lines = file.read_text(encoding="utf-8").splitlines()
    except OSError:
        return frozenset()
    flags = (line.partition(":")[2].split() for line in lines if line.startswith("flags"))
    return frozenset(next(flags, ()))


def openvino_installed() -> bool:
    """Whether the package is there; does not import it. A plain folder of that name has no origin."""
    spec = importlib.util.find_spec("openvino")
    return spec is not None and spec.origin is not None


def choose(
    engine: Engine,
    flags: Callable[[], frozenset[str]] = cpu_flags,
    installed: Callable[[], bool] = openvino_installed,
) -> Engine:
    """The engine that is meant: with `auto`, OpenVINO where it is installed and the CPU multiplies bfloat16.

    In float32 OpenVINO is no faster than ONNX Runtime (docs/performance.md).

    Raises:
        UsageError: OpenVINO is asked for and not installed.
    """
    if engine == "auto":
        return "openvino" if installed() and BF16 & flags() else "onnxruntime"
    if engine == "openvino" and not installed():
        raise UsageError("--engine openvino needs an extra: pip install 'ppocr-beam[openvino]'")
    return engine


def precision(engine: Engine, flags: Callable[[], frozenset[str]] = cpu_flags) -> Literal["bf16", "f32"]:
    """What an engine, once chosen, computes in on this machine."""
    return "bf16" if engine == "openvino" and BF16 & flags() else "f32"
