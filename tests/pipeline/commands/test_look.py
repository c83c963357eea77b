from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import pytest
from PIL import Image as PillowImage

from models.bundle import load_bundle
from models.reader import Reader
from pipeline.commands.look import main
from tests.builders import page_image, tiny_bundle
from tests.typeset import document, text

ROOT = Path(__file__).parents[3]
LINES = ["abcd", "dcb"]


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("look") / "bundle"
    tiny_bundle(folder)
    return str(folder)


@pytest.fixture
def image(tmp_path: Path) -> str:
    path = tmp_path / "page.png"
    cv2.imwrite(str(path), page_image(LINES))
    return str(path)


@pytest.fixture
def pages(tmp_path: Path) -> str:
    """A TIFF of two pages."""
    first, second = (PillowImage.fromarray(page_image([line])) for line in LINES)
    first.save(path := tmp_path / "pages.tif", save_all=True, append_images=[second])
    return str(path)


def test_prints_what_a_file_says_in_reading_order(
    image: str, bundle: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([image, "--bundle", bundle, "--review_threshold", "0"]) == 0
    (page,) = Reader(load_bundle(bundle)).read_file(image)
    first, second = page.text.splitlines()
    assert first == "abcd"
    assert capsys.readouterr().out == f"{image}, page 0:\n    1  {first}\n    2  {second}\n"


def test_options_of_reading_are_the_jobs(image: str, bundle: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([image, "--bundle", bundle, "--min_confidence", "1"]) == 0
    assert capsys.readouterr().out == f"{image}, page 0:\nNo text.\n"
    assert main([image, "--bundle", bundle, "--second_below", "0.5"]) == 2
    assert "has no second recogniser" in capsys.readouterr().err


def test_draws_the_page_and_its_text_side_by_side(
    image: str, bundle: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    picture = tmp_path / "seen.png"
    assert main([image, "--bundle", bundle, "--picture", str(picture)]) == 0
    assert f"Picture:  {picture};" in capsys.readouterr().out
    drawn, page = cv2.imread(str(picture)), page_image(LINES)
    assert drawn is not None
    assert drawn.shape == (page.shape[0], 2 * page.shape[1], 3)
    assert (drawn[:, : page.shape[1]] != page).any() and (drawn[:, page.shape[1] :] != 255).any()


def test_every_page_is_read_or_the_one_that_is_asked_for(
    pages: str, bundle: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([pages, "--bundle", bundle]) == 0
    said = capsys.readouterr().out
    assert said.index("page 0:") < said.index("abcd") < said.index("page 1:") < said.index("dcb")
    picture = tmp_path / "second.png"
    assert main([pages, "--bundle", bundle, "--page", "1", "--picture", str(picture)]) == 0
    said = capsys.readouterr().out
    assert "dcb" in said and "abcd" not in said
    drawn = cv2.imread(str(picture))
    assert drawn is not None
    assert (drawn[30, 150] == 255).all()  # where only the longer line of the first page has ink
    assert main([pages, "--bundle", bundle, "--page", "2"]) == 2
    assert capsys.readouterr().err == "ppocr-beam look: the file has no page 2: they are counted from 0 on\n"


def test_text_that_was_in_a_pdf_is_drawn_over_its_page(
    bundle: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a.pdf").write_bytes(document(text("Total amount 12.50", 40, 200)))
    picture = tmp_path / "seen.jpg"
    words = [str(tmp_path / "a.pdf"), "--bundle", bundle, "--pdf_text", "prefer", "--picture", str(picture)]
    assert main(words) == 0
    assert "    1  Total amount 12.50\n" in capsys.readouterr().out
    drawn = cv2.imread(str(picture))
    assert drawn is not None
    half = drawn.shape[1] // 2
    assert drawn[:, :half].min() < 50 and drawn[:, half:].min() < 200


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("gone.png", None, "gone.png: there is no such file"),
        ("empty.png", b"", "The file is empty"),
        ("broken.png", b"no image", ""),
    ],
)
def test_what_cannot_be_read_is_said_in_one_line(
    name: str, data: bytes | None, said: str, bundle: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if data is not None:
        (tmp_path / name).write_bytes(data)
    assert main([str(tmp_path / name), "--bundle", bundle]) == 2
    error = capsys.readouterr().err
    assert error.startswith("ppocr-beam look: ") and said in error and error.count("\n") == 1
    assert name in error


@pytest.mark.parametrize(
    ("name", "said"), [("seen", "has to end as an image's does"), ("no/seen.png", "no/seen")]
)
def test_a_picture_that_cannot_be_written_is_said_in_one_line(
    name: str, said: str, image: str, bundle: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([image, "--bundle", bundle, "--picture", str(tmp_path / name)]) == 2
    assert said in capsys.readouterr().err


def test_it_imports_no_beam_and_says_all_on_any_terminal(image: str, bundle: str, tmp_path: Path) -> None:
    os.rename(image, named := tmp_path / "päge.png")
    code = "import atexit, json, sys\n"
    code += "atexit.register(lambda: print(json.dumps([*sys.modules]), file=sys.stderr))\n"
    code += f"sys.argv[1:] = ['look', {str(named)!r}, '--bundle', {bundle!r}]\n"
    code += "import runpy; runpy.run_module('pipeline', run_name='__main__', alter_sys=True)"
    changed = {"PYTHONIOENCODING": "ascii"}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, env=os.environ | changed
    )
    assert done.returncode == 0, done.stderr
    assert "p\\xe4ge.png, page 0:\n" in done.stdout and "abcd" in done.stdout
    assert not {"apache_beam", "pyarrow"} & set(json.loads(done.stderr))
