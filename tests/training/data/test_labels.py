from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest

from models.records import UsageError
from training.data.charset import Charset
from training.data.check import check_labels, write_crops
from training.data.labels import LabelledImage, Problem, Region, images_of, read_labels, write_labels
from training.data.pack import pack_lines
from training.data.shards import Shard
from training.data.split import split_labels
from training.evaluation.labelled import labelled_lines

QUAD = [[2, 2], [30, 2], [30, 12], [2, 12]]


def write_image(path: Path, width: int = 40, height: int = 20) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.full((height, width, 3), 200, np.uint8))
    return path


def region(text: str, points: object = QUAD, **more: object) -> dict[str, object]:
    return {"transcription": text, "points": points, **more}


def test_label_txt_gives_regions_with_quads(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png")
    regions = [region("one"), region("###"), region("hard", difficult=True)]
    (tmp_path / "Label.txt").write_text(f"a.png\t{json.dumps(regions)}\n")
    labels = read_labels(tmp_path / "Label.txt")
    quad = ((2.0, 2.0), (30.0, 2.0), (30.0, 12.0), (2.0, 12.0))
    expected = (Region("one", quad), Region("###", quad, True), Region("hard", quad, True))
    assert labels.images == (LabelledImage(tmp_path / "a.png", expected),)
    assert labels.problems == ()


@pytest.mark.parametrize("text", ["plain", "[06]", "[{x", "a\tb", "[1, 2]"], ids=repr)
def test_rec_gt_gives_whole_images_whatever_the_text(tmp_path: Path, text: str) -> None:
    write_image(tmp_path / "a.png")
    (tmp_path / "rec_gt.txt").write_text(f"a.png\t{text}\r\n")
    labels = read_labels(tmp_path)
    if text == "[{x":  # indistinguishable from broken PPOCRLabel JSON: told, not guessed
        assert [problem.kind for problem in labels.problems] == ["broken JSON"]
    else:
        assert labels.images[0].regions == (Region(text),)


def test_icdar_files_keep_commas_in_the_text(tmp_path: Path) -> None:
    write_image(tmp_path / "img_1.jpg")
    (tmp_path / "gt_img_1.txt").write_bytes(
        "\ufeff0,0,9,0,9,5,0,5,a,b\r\n1,1,2,2,x\r\n0,0,9,0,9,5,0,5,###\r\n".encode()
    )
    labels = read_labels(tmp_path)
    quad = ((0.0, 0.0), (9.0, 0.0), (9.0, 5.0), (0.0, 5.0))
    assert labels.images[0].regions == (Region("a,b", quad), Region("###", quad, True))
    assert labels.problems == (Problem("broken region", "gt_img_1.txt:2", "1,1,2,2,x"),)


def test_every_kind_of_mistake_is_counted_and_the_rest_is_used(tmp_path: Path) -> None:
    write_image(tmp_path / "good.png")
    (tmp_path / "noise.png").write_bytes(b"no image")
    (tmp_path / "empty.png").write_bytes(b"")
    regions = [
        region("fine"),
        region(" "),
        region("flat", [[1, 1], [20, 1], [20, 1], [1, 1]]),
        region("three", [[1, 1], [20, 1], [20, 9]]),
        region("far", [[1, 1], [300, 1], [300, 9], [1, 9]]),
        region("çedilla"),
        {"transcription": "no points"},
        region("bad", [["x", 1]]),
    ]
    lines = [
        f"good.png\t{json.dumps(regions)}",
        'noise.png\t[{"transcription": "a", "points": [[0, 0], [9, 0], [9, 9], [0, 9]]}]',
        "empty.png\ttext",
        "gone.png\ttext",
        "no tab at all",
        'good.png\t[{"transcription": ',
        "",
    ]
    (tmp_path / "Label.txt").write_text("\n".join(lines), "utf-8")
    labels = read_labels(tmp_path / "Label.txt")
    report = check_labels(labels, Charset(tuple("abcdefghijklmnopqrstuvwxyz ")))
    assert Counter(problem.kind for problem in report.problems) == {
        "missing file": 1,
        "no tab": 1,
        "broken JSON": 1,
        "broken region": 2,
        "broken image": 2,
        "empty text": 1,
        "degenerate quad": 2,
        "outside the image": 1,
        "not in the charset": 1,
    }
    assert any("'ç'" in problem.detail for problem in report.problems)
    count, problems = pack_lines(labels, tmp_path / "shard")
    assert count == 3 == len(Shard(tmp_path / "shard"))
    assert Counter(p.kind for p in problems)["broken image"] == 2


def test_a_set_without_labels_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="gt_"):
        read_labels(tmp_path)
    with pytest.raises(FileNotFoundError, match="nowhere"):
        read_labels(tmp_path / "nowhere.txt")


def test_crops_are_written_with_their_texts(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png")
    (tmp_path / "Label.txt").write_text(f"a.png\t{json.dumps([region('one'), region('')])}\n")
    count, problems = write_crops(read_labels(tmp_path), tmp_path / "crops")
    assert (count, [p.kind for p in problems]) == (1, ["empty text"])
    again = read_labels(tmp_path / "crops")
    assert again.images[0].regions == (Region("one"),)
    assert cv2.imread(str(again.images[0].path)).shape == (10, 28, 3)


@pytest.mark.parametrize("height", [29, 30])
def test_lines_are_cut_and_turned_as_the_job_does(tmp_path: Path, height: int) -> None:
    ramp = (np.arange(60)[:, None] + 2 * np.arange(80)).astype(np.uint8)
    cv2.imwrite(str(tmp_path / "a.png"), ramp)
    points = [[10, 5], [30, 5], [30, 5 + height], [10, 5 + height]]
    (tmp_path / "Label.txt").write_text(f"a.png\t{json.dumps([region('1', points)])}\n")
    labels = read_labels(tmp_path / "Label.txt")
    pack_lines(labels, tmp_path / "shard", margin=0.0)
    (line,) = labelled_lines(labels.images)
    assert line.crop is not None
    np.testing.assert_allclose(Shard(tmp_path / "shard").image(0), line.crop.astype(float), atol=2)


def test_a_tall_image_of_a_line_stays_as_it_is(tmp_path: Path) -> None:
    write_image(tmp_path / "a.png", 20, 40)
    (tmp_path / "rec_gt.txt").write_text("a.png\t1\n")
    pack_lines(read_labels(tmp_path / "rec_gt.txt"), tmp_path / "shard")
    assert Shard(tmp_path / "shard").image(0).shape == (40, 20, 3)


def test_names_with_the_folder_before_them_are_found(tmp_path: Path) -> None:
    """As PPOCRLabel writes them into the folder itself."""
    (tmp_path / "my" / "my").mkdir(parents=True)
    for place in ("my/a b.png", "my/b.png", "my/my/b.png"):
        cv2.imwrite(str(tmp_path / place), np.full((20, 60), 255, np.uint8))
    records = json.dumps([{"transcription": "x", "points": [[0, 0], [9, 0], [9, 9], [0, 9]]}])
    names = ("my/a b.png", "b.png", "my/b.png", "other/a b.png")
    (tmp_path / "my" / "Label.txt").write_text("".join(f"{name}\t{records}\n" for name in names))
    found = read_labels(tmp_path / "my")
    assert [image.path.relative_to(tmp_path).as_posix() for image in found.images] == [
        "my/a b.png",
        "my/b.png",
        "my/my/b.png",
    ]
    assert [problem.detail for problem in found.problems] == ["other/a b.png"]


def test_a_part_without_images_is_refused(tmp_path: Path) -> None:
    (tmp_path / "Label.txt").write_text("".join(f"{name}.png\t[]\n" for name in "ab"))
    with pytest.raises(UsageError, match="of 2 lines none is for the dev part with --dev 0"):
        split_labels(tmp_path / "Label.txt", 0.0)
    assert not (tmp_path / "Label_train.txt").exists()


def test_split_keeps_images_whole_and_grows_stably(tmp_path: Path) -> None:
    lines = [f"{i}.png\ttext {i}" for i in range(200)]
    path = tmp_path / "rec_gt.txt"
    path.write_text("\n".join(lines[:100]) + "\n")
    split_labels(path, 0.25)
    before = (tmp_path / "rec_gt_dev.txt").read_text().splitlines()
    path.write_text("\n".join(lines) + "\n")
    counts = split_labels(path, 0.25)
    after = (tmp_path / "rec_gt_dev.txt").read_text().splitlines()
    assert set(before) <= set(after)
    assert sum(counts.values()) == 200
    assert 30 <= counts[tmp_path / "rec_gt_dev.txt"] <= 70


def test_what_cannot_be_used_is_counted_in_one_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    write_image(tmp_path / "a.png")
    path = tmp_path / "rec_gt.txt"
    path.write_text("a.png\tone\nb.png\ttwo\nno tab\nc.png\tthree\n")
    assert images_of(path) == read_labels(path).images != ()
    (said,) = caplog.messages
    assert f"{path}: left out are 2 x missing file, 1 x no tab, such as rec_gt.txt:2 b.png; " in said
    assert f"ppocr-train data check {path} lists them" in said
    path.write_text("a.png\tone\n")
    images_of(path)
    assert len(caplog.messages) == 1


def test_a_page_is_blank_where_it_has_no_regions_not_where_none_can_be_used(tmp_path: Path) -> None:
    blank = LabelledImage(write_image(tmp_path / "blank.png"), ())
    write_labels([blank], tmp_path / "Label.txt")
    assert read_labels(tmp_path).images == (blank,)
    (tmp_path / "Label.txt").write_text('blank.png\t[{"points": []}]\n')
    assert read_labels(tmp_path).images == ()
    (tmp_path / "Label.txt").unlink()
    (tmp_path / "gt_blank.txt").write_text("1,2\n")
    assert read_labels(tmp_path).images == ()
    (tmp_path / "gt_blank.txt").write_text("")
    assert read_labels(tmp_path).images == (blank,)
