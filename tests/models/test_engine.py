from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from models.bundle import load_bundle
from models.engine import choose, cpu_flags, precision
from models.records import UsageError
from models.session import OpenVinoSession, Session, open_session
from tests.models.stock_models import save_classifier

OLD = frozenset(("avx2", "fma"))
NEW = OLD | {"avx512_bf16"}
CPUINFO = """\
processor\t: 0
vendor_id\t: AuthenticAMD
flags\t\t: fpu avx2 avx512_bf16
bugs\t\t: spectre_v1

processor\t: 1
flags\t\t: fpu
"""


@pytest.mark.parametrize(
    ("flags", "installed", "expected"),
    [
        (NEW, True, "openvino"),
        (OLD | {"amx_bf16"}, True, "openvino"),
        (OLD, True, "onnxruntime"),
        (NEW, False, "onnxruntime"),
        (frozenset(), True, "onnxruntime"),
    ],
)
def test_auto_takes_openvino_where_it_gains(flags: frozenset[str], installed: bool, expected: str) -> None:
    assert choose("auto", lambda: flags, lambda: installed) == expected


@pytest.mark.parametrize("flags", [OLD, NEW])
def test_what_is_asked_for_is_taken(flags: frozenset[str]) -> None:
    assert choose("onnxruntime", lambda: flags, lambda: True) == "onnxruntime"
    assert choose("openvino", lambda: flags, lambda: True) == "openvino"


def test_openvino_must_be_installed_where_it_is_asked_for() -> None:
    with pytest.raises(UsageError, match=r"pip install 'ppocr-beam\[openvino\]'"):
        choose("openvino", lambda: NEW, lambda: False)


def test_only_openvino_computes_in_bfloat16_and_only_where_the_cpu_does() -> None:
    assert precision("openvino", lambda: NEW) == "bf16"
    assert precision("openvino", lambda: OLD) == "f32"
    assert precision("onnxruntime", lambda: NEW) == "f32"


def test_flags_are_those_that_linux_lists(tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text(CPUINFO)
    assert cpu_flags(tmp_path / "cpuinfo") == {"fpu", "avx2", "avx512_bf16"}
    assert cpu_flags(tmp_path / "nothing") == frozenset()


def test_onnx_runtime_opens_models(tmp_path: Path) -> None:
    session = open_session(save_classifier(tmp_path / "cls.onnx"), "onnxruntime")
    assert type(session) is Session


@pytest.mark.parametrize("model", ["detection", "direction", "recognition"])
def test_openvino_answers_as_onnx_runtime_does(model: str) -> None:
    pytest.importorskip("openvino")
    bundle = load_bundle("latin")
    spec = getattr(bundle.manifest, model)
    path = bundle.model_path(spec)
    session = open_session(path, "openvino")
    assert isinstance(session, OpenVinoSession)
    rng = np.random.default_rng(0)
    for size in ((2, len(spec.mean), 32, 192), (1, len(spec.mean), 32, 192)):
        tensor = rng.uniform(-1, 1, size).astype(np.float32)
        expected = Session(path).run(tensor)
        got = session.run(tensor)
        assert [array.shape for array in got] == [array.shape for array in expected]
        assert [array.dtype for array in got] == [array.dtype for array in expected]
        tolerance = 1e-4 if precision("openvino") == "f32" else 0.05
        np.testing.assert_allclose(got[-1], expected[-1], atol=tolerance)


def test_answers_outlive_the_next_call() -> None:
    pytest.importorskip("openvino")
    bundle = load_bundle("latin")
    session = open_session(bundle.model_path(bundle.manifest.direction), "openvino")
    tensor = np.random.default_rng(0).uniform(-1, 1, (1, 1, 32, 192)).astype(np.float32)
    first = session.run(tensor)[0]
    before = first.copy()
    session.run(-tensor)
    assert (first == before).all()


def test_openvino_names_a_file_that_is_no_model(tmp_path: Path) -> None:
    pytest.importorskip("openvino")
    (tmp_path / "text.onnx").write_text("not a model")
    with pytest.raises(UsageError, match=r"text\.onnx cannot be loaded"):
        open_session(tmp_path / "text.onnx", "openvino")
