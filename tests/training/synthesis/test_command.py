from __future__ import annotations

import argparse
import errno
import hashlib
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from models.records import UsageError
from training.synthesis import command, fonts
from training.synthesis.fonts import Face


@pytest.fixture(autouse=True)
def few_faces(
    faces: list[Face], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, charset: tuple[str, ...]
) -> Path:
    """Every font of a machine would cost the tests a minute; the charset is a file as a user's may be."""
    monkeypatch.setattr(command, "usable_faces", lambda charset, held_out=False: faces)
    command.sampler.cache_clear()
    path = tmp_path / "charset.txt"
    path.write_text("\n".join(charset) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def synthesize(few_faces: Path):
    def run(*words: str) -> None:
        parser = argparse.ArgumentParser()
        command.add_arguments(parser)
        assert command.run(parser.parse_args([*words, "--charset", str(few_faces)])) == 0

    return run


def digests(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_lines_are_the_same_for_any_number_of_workers(synthesize, tmp_path: Path):
    synthesize("lines", "--count", "70", "--output", str(tmp_path / "one"), "--workers", "1")
    synthesize("lines", "--count", "70", "--output", str(tmp_path / "two"), "--workers", "2")
    assert digests(tmp_path / "one") == digests(tmp_path / "two")
    rows = (tmp_path / "one" / "rec_gt.txt").read_text("utf-8").splitlines()
    assert len(rows) == 70
    name, text = rows[69].split("\t")
    assert text and cv2.imread(str(tmp_path / "one" / name)) is not None


def test_another_seed_gives_another_set(synthesize, tmp_path: Path):
    synthesize("lines", "--count", "2", "--output", str(tmp_path / "a"), "--seed", "1", "--workers", "1")
    synthesize("lines", "--count", "2", "--output", str(tmp_path / "b"), "--seed", "2", "--workers", "1")
    assert digests(tmp_path / "a") != digests(tmp_path / "b")


@pytest.mark.parametrize(
    "words", [("pages", "--kinds", "receipt"), ("devset", "receipts")], ids=["pages", "devset"]
)
def test_pages_come_with_ppocrlabel_files(synthesize, tmp_path: Path, words: tuple[str, ...]):
    synthesize(*words, "--count", "2", "--output", str(tmp_path / "out"), "--workers", "1")
    rows = (tmp_path / "out" / "Label.txt").read_text("utf-8").splitlines()
    assert len(rows) == 2
    for row in rows:
        name, label = row.split("\t")
        height, width = cv2.imread(str(tmp_path / "out" / name)).shape[:2]
        for line in json.loads(label):
            assert line["transcription"]
            assert all(0 <= x <= width and 0 <= y <= height for x, y in line["points"])


def test_real_words_stand_in_made_scenes(synthesize, tmp_path: Path, caplog: pytest.LogCaptureFixture):
    (tmp_path / "words").mkdir()
    for number in range(4):
        cv2.imwrite(str(tmp_path / "words" / f"{number}.png"), np.full((30, 90, 3), 40 * number, np.uint8))
    rows = "".join(f"{number}.png\tREALWORD{number}\n" for number in range(4))
    (tmp_path / "words" / "rec_gt.txt").write_text(f"{rows}gone.png\tx\n0.png\t[]\n", "utf-8")
    words = ("--words", str(tmp_path / "words" / "rec_gt.txt"))
    synthesize("pages", "--kinds", "scene=3", *words, "--count", "6", "--output", str(tmp_path / "out"))
    assert "REALWORD" in (tmp_path / "out" / "Label.txt").read_text("utf-8")
    assert sum("1 x missing file" in message for message in caplog.messages) == 1


def test_kinds_carry_weights():
    assert command._mix("scene=2, form=.5") == (("scene", 2.0), ("form", 0.5))
    assert dict(command._mix("receipt")) == {"receipt": command.MIX["receipt"]}
    for wrong in ("poem", "scene=much", ""):
        with pytest.raises(UsageError, match="choose from"):
            command._mix(wrong)


def test_directions_are_labelled_by_degrees(synthesize, tmp_path: Path):
    synthesize("directions", "--count", "20", "--output", str(tmp_path / "out"), "--workers", "1")
    rows = (tmp_path / "out" / "direction_gt.txt").read_text("utf-8").splitlines()
    assert {row.split("\t")[1] for row in rows} == {"0", "180"}


@pytest.mark.parametrize(
    "words",
    [("lines",), ("pages", "--kinds", "scene"), ("directions", "--color")],
    ids=lambda words: words[0],
)
def test_previews_are_one_picture(synthesize, tmp_path: Path, words: tuple[str, ...]):
    synthesize(*words, "--preview", str(tmp_path / "sheets" / "sheet.png"))
    assert cv2.imread(str(tmp_path / "sheets" / "sheet.png")).std() > 5
    assert [path.name for path in (tmp_path / "sheets").iterdir()] == ["sheet.png"]


@pytest.mark.parametrize(
    "words, message",
    [
        (("lines",), "either --output DIR or --preview PNG"),
        (
            ("pages", "--kinds", "receipt,novel", "--output", "x"),
            "choose from receipt, form, document, scene",
        ),
    ],
    ids=["nowhere to write", "unknown kind"],
)
def test_usage_errors_say_what_to_do(synthesize, words: tuple[str, ...], message: str):
    with pytest.raises(UsageError, match=message):
        synthesize(*words)


def test_a_folder_in_use_is_left_alone(synthesize, tmp_path: Path):
    (tmp_path / "mine.txt").write_text("precious")
    with pytest.raises(UsageError, match="not an empty folder"):
        synthesize("lines", "--count", "1", "--output", str(tmp_path))
    assert (tmp_path / "mine.txt").read_text() == "precious"


def test_a_full_disk_leaves_nothing_half_written(synthesize, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    written, real = [], Path.write_bytes

    def fill_up(path: Path, data: bytes) -> int:
        written.append(path)
        if len(written) > 3:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(path, data)

    monkeypatch.setattr(Path, "write_bytes", fill_up)
    with pytest.raises(UsageError, match="No space left on device. Nothing was kept. Free some space"):
        synthesize("lines", "--count", "9", "--output", str(tmp_path / "out"), "--workers", "1")
    assert len(written) == 4
    assert [path.name for path in tmp_path.iterdir()] == ["charset.txt"]


def test_a_machine_without_fonts_is_told_before_any_work(
    synthesize, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(fonts, "font_folders", lambda: [tmp_path / "nowhere"])
    monkeypatch.setattr(command, "usable_faces", fonts.usable_faces)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with pytest.raises(UsageError, match="apt-get install fonts-"):
        synthesize("lines", "--count", "1", "--output", str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()
