from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmarks import quality, readers
from benchmarks.quality import BEGIN, END, Row, read_set, row_of, tables, updated
from benchmarks.readers import Answer, Engine, Read, processor_seconds, read_all
from models.records import UsageError
from training.evaluation.scoring import Text

ROOT = Path(__file__).parents[2]


def box(left: float, top: float = 0, width: float = 40) -> list[list[float]]:
    return [[left, top], [left + width, top], [left + width, top + 10], [left, top + 10]]


def write_set(folder: Path, labels: dict[str, list[tuple[list[list[float]], str]]]) -> Path:
    (folder / "images").mkdir(parents=True)
    rows = []
    for number, (name, lines) in enumerate(labels.items()):
        cv2.imwrite(str(folder / "images" / name), np.full((20, 100, 3), 100 + number, np.uint8))
        regions = [{"transcription": text, "points": corners} for corners, text in lines]
        rows.append(f"images/{name}\t{json.dumps(regions)}")
    (folder / "Label.txt").write_text("\n".join(rows), encoding="utf-8")
    return folder


class Double:
    """An engine that answers with given texts, each image costing one second more than the one before."""

    def __init__(self, texts: dict[str, list[Text]], title: str = "double") -> None:
        self.texts = texts
        self.asked: list[str] = []
        self.engine = Engine(title, 1.5, title, self.start)

    @contextmanager
    def start(self) -> Iterator[Read]:
        yield self.read

    def read(self, path: Path) -> Answer:
        self.asked.append(path.name)
        if path.name not in self.texts:
            return Answer([], 0.0, "cannot")
        return Answer(self.texts[path.name], float(len(self.asked)))


@pytest.fixture(autouse=True)
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(readers, "KEPT", tmp_path / "kept")
    return tmp_path / "kept"


def test_what_need_not_be_read_counts_for_nothing_and_spaces_do_not_matter(tmp_path: Path) -> None:
    folder = write_set(tmp_path / "dev", {"a.png": [(box(0), "Two  words"), (box(50), "###")]})
    read = {"a.png": [Text(box(0), " Two words "), Text(box(50), "noise")]}
    row = row_of(read_set("x", folder), Double({}).engine, read, 0.5)
    assert (row.words, row.detection, row.seconds, row.pages) == (1.0, 1.0, 0.5, 1)


def test_case_counts_where_labels_have_it(tmp_path: Path) -> None:
    upper = read_set("x", write_set(tmp_path / "upper", {"a.png": [(box(0), "TOTAL")]}))
    mixed = read_set("x", write_set(tmp_path / "mixed", {"a.png": [(box(0), "Total")]}))
    read = {"a.png": [Text(box(0), "total")]}
    assert [row_of(dev, Double({}).engine, read, None).words for dev in (upper, mixed)] == [1.0, 0.0]


def test_words_are_those_of_words_jsonl_and_regions_those_of_the_labels(tmp_path: Path) -> None:
    folder = write_set(tmp_path / "dev", {"a.png": [(box(0, width=90), "4,500 dollars")]})
    words = [{"poly": box(0), "text": "4,"}, {"poly": box(50), "text": "500 dollars"}]
    (folder / "words.jsonl").write_text(json.dumps({"image": "images/a.png", "lines": words}))
    row = row_of(
        read_set("x", folder), Double({}).engine, {"a.png": [Text(box(0, width=90), "500 dollars")]}, None
    )
    assert (row.words, row.detection) == (0.8, 1.0)


def test_a_page_without_words_is_told(tmp_path: Path) -> None:
    folder = write_set(tmp_path / "dev", {"a.png": [(box(0), "a")], "b.png": [(box(0), "b")]})
    (folder / "words.jsonl").write_text(json.dumps({"image": "a.png", "lines": []}))
    with pytest.raises(UsageError, match=r"words\.jsonl lacks b\.png"):
        read_set("x", folder)


def test_every_nth_page_is_taken(tmp_path: Path) -> None:
    dev = read_set("x", write_set(tmp_path / "dev", {f"{i}.png": [(box(0), "a")] for i in range(5)}), every=2)
    assert [path.name for path in dev.paths] == ["0.png", "2.png", "4.png"] == list(dev.words)


def test_what_was_read_is_kept_by_image_and_version(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dev = read_set("x", write_set(tmp_path / "dev", {"a.png": [], "b.png": []}))
    double = Double({"a.png": [Text(box(0), "à")]})
    expected = {"a.png": [Text(box(0), "à")], "b.png": []}
    assert read_all(double.engine, dev.paths) == expected
    assert "b.png counts as blank: cannot" in capsys.readouterr().err
    assert read_all(double.engine, dev.paths) == expected
    assert double.asked == ["a.png", "b.png", "b.png"]  # what failed is asked again
    assert read_all(double.engine, dev.paths[:1], again=True) == {"a.png": expected["a.png"]}
    other = Double({"a.png": [], "b.png": []}, "other version")
    assert read_all(other.engine, dev.paths) == {"a.png": [], "b.png": []}


def test_a_changed_image_is_read_again(tmp_path: Path) -> None:
    folder = write_set(tmp_path / "dev", {"a.png": []})
    double = Double({"a.png": []})
    read_all(double.engine, read_set("x", folder).paths)
    cv2.imwrite(str(folder / "images" / "a.png"), np.zeros((20, 100, 3), np.uint8))
    read_all(double.engine, read_set("x", folder).paths)
    assert double.asked == ["a.png", "a.png"]


def test_engines_take_turns_and_the_first_page_is_not_timed(tmp_path: Path) -> None:
    texts: dict[str, list[Text]] = {"a": [], "b": []}
    first, second = Double(texts), Double(texts)
    paths = [Path("a"), Path("b")]
    assert processor_seconds([first.engine, second.engine], paths) == [
        2.5,
        2.5,
    ]  # of 2 and 3; 1 was the first
    assert first.asked == ["a", "a", "b"]


def test_an_engine_in_its_own_process_answers_whatever_it_prints() -> None:
    code = (
        "import benchmarks.peer as p; print('noise')\n"
        "def read(path):\n"
        "    print('reading')\n"
        "    if path == 'bad': raise ValueError('torn')\n"
        "    return [([[0, 0], [4, 0], [4, 2], [0, 2]], path)]\n"
        "p.ENGINES['double'] = lambda: read\n"
        "p.serve('double')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        input="é.png\nbad\n",
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=True,
    )
    noise, *answers = done.stdout.splitlines()
    good, bad = map(json.loads, answers)
    assert noise == "noise"  # printed before it served
    assert good["lines"] == [[[[0, 0], [4, 0], [4, 2], [0, 2]], "é.png"]]
    assert (good["error"], bad["error"], bad["lines"]) == ("", "ValueError: torn", [])
    assert good["seconds"] >= 0


def test_tables_have_a_row_an_engine_and_a_column_a_set() -> None:
    rows = [
        Row(engine, size, name, 3, 0.5, None, None if engine == "b" else 0.25)
        for name in ("receipts", "scene_photos")
        for engine, size in (("a", 1.9), ("b", 31.25))
    ]
    printed = tables(rows)
    assert "3 receipts, 3 scene_photos" in printed
    assert "| reader | models, MB | receipts | scene photos |" in printed
    assert "| b | 31.2 | 0.500 | 0.500 |" in printed
    assert "| a | 1.9 | 0.25 | 0.25 |" in printed


def test_a_page_of_the_documentation_gets_the_tables() -> None:
    page = f"# Title\n\n{BEGIN}\nold\n{END}\nrest\n"
    assert updated(page, "new", "x.md") == f"# Title\n\n{BEGIN}\n\nnew\n\n{END}\nrest\n"
    with pytest.raises(UsageError, match=r"x\.md has no"):
        updated("# Title", "new", "x.md")


def test_no_set_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no set to read"):
        quality._folders(tmp_path, {})
    assert quality._folders(None, {"mine": tmp_path}) == {"mine": tmp_path}
