from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from models.records import UsageError
from pipeline.show import main, show, to_page
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
        }
        for i, text in enumerate(texts)
    ]
    return {
        "uri": uri, "page": page, "etag": None, "byte_size": 1, "sha256": "", "width": 200, "height": 100,
        "text": "\n".join(texts), "lines": lines, "bundle_id": "", "run_id": "", "doubtful": False,
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
    assert "Total 12.50\n" in printed and "Thank you\n" in printed
    assert "another" not in printed
    assert "Rows" not in printed  # the job has said so
    assert image in printed


def test_nobody_who_reads_on_is_no_error(tmp_path: Path, image: str) -> None:
    write(tmp_path, row(image, ["Total 12.50"]))
    reader, writer = os.pipe()
    os.close(reader)
    shown = subprocess.run(
        [sys.executable, "-m", "pipeline.show", str(tmp_path)], stdout=writer, stderr=subprocess.PIPE
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
    with pytest.raises(UsageError, match="has no page 1"):  # which shows that it was looked for
        show(str(tmp_path))
    pq.write_table(pa.Table.from_pylist([row(image, ["first"])], PAGES), tmp_path / "pages" / "1.parquet")
    show(str(tmp_path))
    assert "It says:  first\n" in capsys.readouterr().out


def test_outputs_elsewhere_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["gs://b/out"]) == 2
    assert capsys.readouterr().err.startswith("pipeline.show: gs://b/out is not on this machine")


def test_members_of_archives_and_blank_pages_are_no_picture(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, row("shard.tar#1.png", ["text"]), row("blank.png", []))
    assert main([str(tmp_path)]) == 0
    assert "No page with text." in capsys.readouterr().out
    assert not (tmp_path / "overlay.png").exists()


@pytest.mark.parametrize(("uri", "hint"), [("scans/gone.png", True), ("/scans/gone.png", False)])
def test_an_image_that_is_not_found_where_this_runs(
    tmp_path: Path, uri: str, hint: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, row(uri, ["text"]))
    assert main([str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert f"{uri}: there is no such file" in said and said.count("\n") == 1
    assert ("begins where the job ran" in said) == hint


def test_a_page_that_its_file_no_longer_has_is_said_in_one_line(
    tmp_path: Path, image: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, row(image, ["text"], page=1))
    assert main([str(tmp_path)]) == 2
    said = capsys.readouterr().err
    assert f"{image} has no page 1 any more" in said and said.count("\n") == 1
    assert not (tmp_path / "overlay.png").exists()


def test_a_row_becomes_the_page_it_was() -> None:
    page = to_page(row("a.tiff", ["one", "two"], page=3))
    assert (page.uri, page.index, page.width, page.height, page.text) == ("a.tiff", 3, 200, 100, "one\ntwo")
    assert [line.needs_review for line in page.lines] == [False, True]
    np.testing.assert_array_equal(page.lines[1].polygon, [(10, 24), (190, 24), (190, 38), (10, 38)])


@pytest.mark.parametrize("arguments", [[], ["a", "b"]])
def test_wants_one_folder(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    assert "usage" in capsys.readouterr().err


def test_folder_without_rows_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path)]) == 2
    assert "has no rows" in capsys.readouterr().err


def test_an_image_that_is_gone_is_said_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, row(str(tmp_path / "gone.png"), ["x"]))
    assert main([str(tmp_path)]) == 2
    assert capsys.readouterr().err.startswith("pipeline.show: ")


def test_options_are_no_folder(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 2
    assert capsys.readouterr().err.startswith("usage: ")
