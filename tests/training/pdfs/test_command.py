from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from random import Random

import pytest

from tests.typeset import document, text
from training.__main__ import main
from training.data.charset import read_charset
from training.data.check import check_labels
from training.data.labels import read_labels
from training.data.pack import pack_lines
from training.pdfs.command import documents_of, sampled


def rows(name: str) -> str:
    return "\n".join(text(f"{name}, line {i}", 40, 270 - 25 * i, 14) for i in range(5))


@pytest.fixture
def manuals(tmp_path: Path) -> Path:
    """Three documents of four pages, one of them in a folder, and a broken one."""
    folder = tmp_path / "manuals"
    (folder / "deeper").mkdir(parents=True)
    for name in ("one.pdf", "two.PDF", "deeper/three.pdf"):
        pages = [rows(f"{Path(name).stem} page {i}") for i in range(4)]
        (folder / name).write_bytes(document(*pages))
    (folder / "broken.pdf").write_bytes(b"%PDF-1.4 and no more")
    (folder / "notes.txt").write_text("no PDF")
    return folder


def draw(*words: object) -> int:
    return main(["data", "pdf", *map(str, words)])


def digests(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_pages_become_a_set_that_training_takes(
    manuals: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert draw(manuals, "--output", out, "--dpi", "100-120") == 0
    report = check_labels(read_labels(out), read_charset("latin"))
    assert (report.images, report.problems) == (12, ())
    assert report.lines + report.ignored == 60 and report.ignored < 6
    texts = {r.text for image in read_labels(out).images for r in image.regions if not r.ignored}
    assert "three page 2, line 4" in texts
    count, problems = pack_lines(read_labels(out), tmp_path / "shard")
    assert (count, problems) == (report.lines, [])
    told = capsys.readouterr().out
    assert "3 documents, 12 pages kept" in told
    assert "1 documents left out: cannot be opened, or asks for a password" in told


def test_the_same_seed_gives_the_same_set(manuals: Path, tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        draw(manuals, "--output", tmp_path / name, "--pages", 2, "--seed", seed, "--dpi", "70-90")
    assert digests(tmp_path / "a") == digests(tmp_path / "b") != digests(tmp_path / "c")


def test_a_page_is_the_same_whatever_stands_beside_it(manuals: Path, tmp_path: Path) -> None:
    draw(manuals / "one.pdf", "--output", tmp_path / "a", "--dpi", "70")
    draw(manuals / "one.pdf", manuals / "two.PDF", "--output", tmp_path / "b", "--dpi", "70")
    assert set(digests(tmp_path / "a" / "images").values()) < set(digests(tmp_path / "b" / "images").values())


def test_looks_none_leaves_pages_as_they_were_drawn(manuals: Path, tmp_path: Path) -> None:
    draw(manuals, "--output", tmp_path / "out", "--looks", "none", "--dpi", "72")
    for row in (tmp_path / "out" / "Label.txt").read_text("utf-8").splitlines():
        first = json.loads(row.partition("\t")[2])[0]
        assert first["points"][0] == pytest.approx([40, 19], abs=2)


def test_no_more_pages_than_asked_for(manuals: Path, tmp_path: Path) -> None:
    draw(manuals, "--output", tmp_path / "out", "--count", 5, "--pages", 2, "--dpi", "70")
    names = [image.path.name for image in read_labels(tmp_path / "out").images]
    assert len(names) == 5
    assert max(sum(name.startswith(f"{i:04d}") for name in names) for i in range(4)) == 2


def test_documents_held_out_are_whole(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for i in range(8):
        (folder / f"{i}.pdf").write_bytes(document(rows("a"), rows("b")))
    draw(folder, "--output", tmp_path / "out", "--dev", 0.4, "--dpi", "70")
    parts = [
        {image.path.name.partition("_")[0] for image in read_labels(tmp_path / "out" / name).images}
        for name in ("Label.txt", "Label_dev.txt")
    ]
    assert parts[0] and parts[1] and not parts[0] & parts[1] and len(parts[0] | parts[1]) == 8


def test_pages_of_a_document_are_spread_over_it() -> None:
    found = sampled(100, 5, Random(1))
    assert [index // 20 for index in found] == [0, 1, 2, 3, 4]
    assert sampled(3, 20, Random(1)) == [0, 1, 2]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nowhere"], "nowhere does not exist"),
        (["empty"], "there is no PDF file"),
        (["blank.pdf"], "No page was kept.*1 pages left out: no text"),
    ],
)
def test_what_cannot_be_done_is_told(
    words: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "blank.pdf").write_bytes(document("0 0 9 9 re f"))
    assert draw(*words, "--output", "out") != 0
    told = capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    assert "Traceback" not in told
    assert re.search(message, " ".join(told.split()))


def test_a_folder_in_use_is_left_alone(
    manuals: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert draw(manuals, "--output", manuals) != 0
    assert "is not an empty folder" in capsys.readouterr().err
    assert (manuals / "one.pdf").exists()


@pytest.mark.parametrize("words", [["--dpi", "220-70"], ["--dpi", "5"], ["--dpi", "x"], ["--dev", "1"]])
def test_options_out_of_range_are_refused(words: list[str], manuals: Path, tmp_path: Path) -> None:
    with pytest.raises(SystemExit):
        draw(manuals, "--output", tmp_path / "out", *words)


def test_files_named_twice_are_one_document(manuals: Path) -> None:
    found = documents_of([manuals / "one.pdf", manuals])
    assert [path.name for path in found] == ["one.pdf", "broken.pdf", "three.pdf", "two.PDF"]
