"""What docs/security.md promises, where no other test holds it."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from pipeline.__main__ import main
from tests.builders import tiny_bundle
from tests.corpus import encoded, page, tar
from tests.fake_cloud import running
from transforms.read import ReadPages
from transforms.storage import Source

ROOT = Path(__file__).parent.parent
FORBIDDEN = {
    *("eval", "exec", "compile", "__import__", "os.system", "os.popen", "yaml.load", "torch.load"),
    *("pickle.load", "pickle.loads", "marshal.loads", "shelve.open", "subprocess.run", "subprocess.Popen"),
    *("subprocess.call", "subprocess.check_call", "subprocess.check_output"),
}
ALLOWED = {
    ("transforms/elements.py", "pickle.loads"),
    *((path, "subprocess.Popen") for path in ("pipeline/nursery.py", "models/decoding/apart.py")),
}
"""Beam gives elements from process to process in the first, should it ever shuffle them; no file is ever one.
The second starts this Python on a file of this package."""
SECRET = "hunter2"


def calls(path: Path) -> Iterator[str]:
    """Names of what a module calls, as far as they can be told from its text."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func)


def test_nothing_runs_a_shell_or_takes_code_from_data() -> None:
    modules = [path for room in ("models", "transforms", "pipeline") for path in (ROOT / room).rglob("*.py")]
    found = {(str(path.relative_to(ROOT)), name) for path in modules for name in calls(path)}
    assert len(found) > 500
    assert {(path, name) for path, name in found if name in FORBIDDEN} == ALLOWED


def test_members_of_archives_are_written_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    jpeg = encoded("JPEG", page((64, 40)))
    names = ["../up.jpg", f"{tmp_path}/absolute.jpg", "a/../../../b.jpg", "plain.jpg"]
    (folder / "s.tar").write_bytes(tar([(name, jpeg) for name in names]))
    work = ReadPages()._work
    work.setup()
    work.start_bundle()
    assert [element.uri for element in work.process(Source("s.tar"))] == [f"s.tar#{name}" for name in names]
    assert not list(work.finish_bundle())
    work.teardown()
    assert [path.name for path in tmp_path.rglob("*")] == ["here", "s.tar"]


def test_credentials_are_in_no_row_no_log_and_no_record(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    tiny_bundle(tmp_path / "bundle")
    with running() as cloud:
        cloud.files["a.jpg"] = encoded("JPEG", page((64, 40)))
        cloud.files["broken.jpg"] = b"not an image"
        host = cloud.url.removeprefix("http://")
        names = ("a.jpg", "broken.jpg", "none.jpg")
        urls = [f"http://me:{SECRET}@{host}/web/{name}?X-Amz-Signature={SECRET}" for name in names]
        (tmp_path / "list.csv").write_text("\n".join(["uri,etag", *(f"{url},an-older-one" for url in urls)]))
        words = [
            "--input",
            tmp_path / "list.csv",
            "--output",
            tmp_path / "out",
            "--bundle",
            tmp_path / "bundle",
        ]
        options = ["--workers", "1", "--allow_private_hosts", "--verbose"]
        assert main([*map(str, words), *options]) == 0
        assert [request for request in cloud.requests if SECRET in request]  # it was sent where it belongs
    said = "".join(capfd.readouterr())
    output = tmp_path / "out"
    rows = [row for kind in ("pages", "errors") for row in pq.read_table(output / kind).to_pylist()]
    assert {row.get("kind") for row in rows} == {None, "not_an_image", "not_found"}
    assert SECRET not in said + str(rows)
    marker = json.loads((output / "_waves" / "00000.json").read_text())
    assert len(marker["changed"]) == 1  # a.jpg is not the version that the list has
    told = [path for path in output.rglob("*") if path.is_file() and path.parent.name != "_manifest"]
    assert len(told) >= 4
    assert not [path for path in told if SECRET.encode() in path.read_bytes()]
