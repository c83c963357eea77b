from __future__ import annotations

import os
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from models.annotate import DOUBTFUL
from pipeline.commands.show import main, show
from pipeline.outputs import to_page
from transforms.rows import PAGES


def row(uri: str, texts: list[str], page: int = 0) -> dict[str, Any]:
    """A row of pages/: a page of 200 x 100 pixels, its lines below each other."""
    lines = [
        {
            "text": text,
            "confidence": 0.9,
            "polygon": [{"x": x, "y": 20 * i + y} for x, y in [(10, 4), (190, 4), (190, 18), (10, 18)]],
            "detection_score": 0.8,
            "direction": 0,
            "direction_confidence": None,
            "needs_review": i == 1,
            "chars": None,
            "recognizer": 1,
        }
        for i, text in enumerate(texts)
    ]
    return {
        "uri": uri, "page": page, "etag": None, "byte_size": 1, "sha256": "", "width": 200, "height": 100,
        "text": "\n".join(texts), "lines": lines, "bundle_id": "", "run_id": "",
        "doubtful": False, "text_from": "image",
    }  # fmt: skip


def write(output: Path, *rows: dict[str, Any]) -> None:
    """Writes a file of pages/ for each row."""
    (output / "pages").mkdir()
    for i, one in enumerate(rows):
        pq.write_table(pa.Table.from_pylist([one], PAGES), output / "pages" / f"{i}.parquet")


@pytest.fixture
def image(tmp_path: Path) -> str:
    path = tmp_path / "page with space.png"
    cv2.imwrite(str(path), np.full((100, 200, 3), 255, np.uint8))
    return str(path)


def test_shows_the_first_page_with_text(
    tmp_path: Path, image: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write(
        tmp_path, row("z.png", ["another"]), row(image, ["Total 12.50", "Thank you"]), row("/a blank.png", [])
    )
    assert main([str(tmp_path)]) == 0
    printed = capsys.readouterr().out
    assert "    1  Total 12.50\n" in printed and "    2? Thank you   [0.90]\n" in printed
    assert "another" not in printed
    assert "Rows" not in printed  # the job has said so
    assert image in printed


def test_nobody_who_reads_on_is_no_error(tmp_path: Path, image: str) -> None:
    write(tmp_path, row(image, ["Total 12.50"]))
    reader, writer = os.pipe()
    os.close(reader)
    shown = subprocess.run(
        [sys.executable, "-m", "pipeline", "show", str(tmp_path)], stdout=writer, stderr=subprocess.PIPE
    )
    os.close(writer)
    assert (shown.returncode, shown.stderr) == (0, b"")


def test_picture_shows_page_and_text_side_by_side(tmp_path: Path, image: str) -> None:
    write(tmp_path, row(image, ["Total 12.50"]))
    main([str(tmp_path)])
    picture = cv2.imread(str(tmp_path / "overlay.png"))
    assert picture is not None
    assert picture.shape == (100, 400, 3)
    page, sheet = picture[:, :200], picture[:, 200:]
    assert (page[4:19, 8:193] != 255).any() and (page[40:] == 255).all()
    assert (sheet[:20] != 255).any()


def test_names_decide_which_page_is_first_not_files(
    tmp_path: Path, image: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "pages").mkdir()
    rows = [row("z.png", ["last"]), row(image, ["second"], page=1), row(image, []), row("y.png", ["third"])]
    pq.write_table(pa.Table.from_pylist(rows, PAGES), tmp_path / "pages" / "0.parquet", row_group_size=2)
    show(str(tmp_path))
    assert "page 1: its file has no such page any more" in capsys.readouterr().out  # so it was looked for
    pq.write_table(pa.Table.from_pylist([row(image, ["first"])], PAGES), tmp_path / "pages" / "1.parquet")
    show(str(tmp_path))
    assert "It says:\n    1  first\n" in capsys.readouterr().out


def test_outputs_elsewhere_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["gs://b/out"]) == 2
    assert capsys.readouterr().err.startswith("ppocr-beam show: gs://b/out is not on this machine")


def test_blank_pages_are_no_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, row("blank.png", []))
    assert main([str(tmp_path)]) == 0
    assert "No page with text." in capsys.readouterr().out
    assert not (tmp_path / "overlay.png").exists()


def test_members_of_archives_are_drawn(
    tmp_path: Path, image: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with tarfile.open(tmp_path / "shard.tar", "w") as archive:
        archive.add(image, "a#b/1.png")
    pq.write_table(pa.table({"bytes": [b"none", Path(image).read_bytes()]}), tmp_path / "shard.parquet")
    write(
        tmp_path,
        *(row(f"{tmp_path}/{name}", ["text"]) for name in ("shard.tar#a#b/1.png", "shard.parquet#1")),
    )
    for name in ("a#b/1.png", "shard.parquet#1"):
        assert main([str(tmp_path), name]) == 0
        assert f"{name}, page 0; what wants" in capsys.readouterr().out
        picture = cv2.imread(str(tmp_path / "overlay.png"))
        assert picture is not None and picture.shape == (100, 400, 3)
        (tmp_path / "overlay.png").unlink()
    (tmp_path / "shard.tar").unlink()
    assert main([str(tmp_path), "1.png"]) == 0
    said = capsys.readouterr().out
    assert "No picture of" in said and "shard.tar: there is no such file" in said and "1  text" in said


def test_a_page_and_a_file_may_be_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    many = [f"line {i}" for i in range(20)]
    write(
        tmp_path,
        row("in/a.pdf", ["first"]),
        row("in/a.pdf", many, 1),
        row("in/ba.pdf", [], 2),
        row("b", ["x"]),
    )
    asked_and_said = [
        (["a.pdf", "--page", "1"], "   20  line 19\n"),
        (["in/a.pdf"], "    1  first\n"),
        (["--page", "1"], "    1  line 0\n"),
        (["ba.pdf", "--page", "2"], "It says:\n"),
    ]
    for asked, said in asked_and_said:
        assert main([str(tmp_path), *asked]) == 0
        assert said in capsys.readouterr().out
    assert main([str(tmp_path), "a.pdf", "--page", "7"]) == 2
    assert "has no row of page 7 of a.pdf" in capsys.readouterr().err


def test_a_doubtful_line_says_which_character_is_doubtful(
    tmp_path: Path, image: str, capsys: pytest.CaptureFixture[str]
) -> None:
    one = row(image, ["Total", "l2"])
    found = [("l", 0.25, 0.0, 0.5), ("2", 0.75, 0.5, 1.0)]
    one["lines"][1]["chars"] = [
        dict(zip(("text", "confidence", "x0", "x1"), char, strict=True)) for char in found
    ]
    write(tmp_path, one)
    main([str(tmp_path)])
    assert "    1  Total\n    2? l2   [0.90: least sure of 'l', 0.25]\n" in capsys.readouterr().out
    picture = cv2.imread(str(tmp_path / "overlay.png"))
    assert picture is not None
    marked = (picture == DOUBTFUL[::-1]).all(axis=2).nonzero()[1]
    assert 8 <= marked.min() < 12 and 98 <= marked.max() < 103  # the left half of the line's 10 to 190


@pytest.mark.parametrize(("uri", "hint"), [("scans/gone.png", True), ("/scans/gone.png", False)])
def test_an_image_that_is_not_found_where_this_runs(
    tmp_path: Path, uri: str, hint: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, row(uri, ["text"]))
    assert main([str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert f"{uri}: there is no such file" in said and "1  text" in said
    assert ("begins where the job ran" in said) == hint


def test_a_page_that_its_file_no_longer_has_is_said_in_one_line(
    tmp_path: Path, image: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, row(image, ["text"], page=1))
    assert main([str(tmp_path)]) == 0
    assert f"No picture of {image}, page 1: its file has no such page any more" in capsys.readouterr().out
    assert not (tmp_path / "overlay.png").exists()


def test_a_row_becomes_the_page_it_was() -> None:
    made = row("a.tiff", ["one", "two"], page=3)
    made["lines"][1]["words"] = [
        {"text": "two", "confidence": 0.5, "polygon": made["lines"][1]["polygon"]},
    ]
    page = to_page(made)
    (word,) = page.lines[1].words or ()
    assert page.lines[0].words is None and (word.text, word.confidence) == ("two", 0.5)
    np.testing.assert_array_equal(word.polygon, page.lines[1].polygon)
    assert (page.uri, page.index, page.width, page.height, page.text) == ("a.tiff", 3, 200, 100, "one\ntwo")
    assert [line.needs_review for line in page.lines] == [False, True]
    np.testing.assert_array_equal(page.lines[1].polygon, [(10, 24), (190, 24), (190, 38), (10, 38)])


@pytest.mark.parametrize("arguments", [[], ["a", "b", "c"], ["a", "--page", "x"], ["--nonsense"]])
def test_wants_one_folder(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    assert "usage" in capsys.readouterr().err


def test_folder_without_rows_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path)]) == 2
    assert "has no rows" in capsys.readouterr().err


def test_help_is_no_folder(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    assert "--page N" in capsys.readouterr().out
