from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from training.data.relabel import cased_text, disagreement, relabel, relabel_shard
from training.data.shards import Shard, write_shard
from training.data.teacher import Reading


@pytest.mark.parametrize(
    ("label", "reading", "cased"),
    [
        ("TOTAL AMT: RM 12.00", "Total Amt:RM12.00", "Total Amt: RM 12.00"),
        ("THANK YOU", "THANK YOU", "THANK YOU"),
        ("ROUNDING ADJUSTMENT", "Pounding Adjustment", "Rounding Adjustment"),
        ("TAKO BALL", "Tako Bal1", "Tako Ball"),
        ("GST ID : 000886", "GST ID000886", "GST ID : 000886"),
        ("FOLLOW US", "", "FOLLOW US"),
        ("SELANGOR", "SE_ANGOR", "SELANGOR"),
        ("INVOICE", "nvoice", "invoice"),
        ("STRASSE", "Straße", "Strasse"),
        ("NO:1", "No：1", "No:1"),
    ],
)
def test_letters_take_the_case_of_the_reading(label: str, reading: str, cased: str) -> None:
    assert cased_text(label, reading) == cased


@pytest.mark.parametrize("reading", ["", "x", "completely else", "ÄÖÜß İ"])
@pytest.mark.parametrize("label", ["", "A", "TOTAL 1.00", "İSTANBUL"])
def test_only_case_ever_changes(label: str, reading: str) -> None:
    assert cased_text(label, reading).casefold() == label.casefold()


def test_case_and_spaces_are_no_disagreement() -> None:
    assert disagreement("TOTAL 12", "total12") == 0
    assert disagreement("AB", "AC") == 0.5


def test_a_line_that_cannot_be_aligned_gets_no_cased_text() -> None:
    assert "cased" not in relabel("0.00", Reading("9.09", 0.8), trust_label_case=False)
    assert relabel("0.00", Reading("0.09", 0.8), trust_label_case=False)["cased"] == "0.00"


def test_a_shard_is_read_without_its_margins_and_keeps_its_labels(tmp_path: Path) -> None:
    image = np.zeros((14, 24, 3), np.uint8)
    write_shard(
        tmp_path / "s", [(image, {"text": "ABC", "border": 2}), (image, {"text": "Zzz", "border": 0})]
    )
    seen = []

    def read(crop: np.ndarray) -> Reading:
        seen.append(crop.shape)
        return Reading("Abc", 0.9)

    counts = relabel_shard(tmp_path / "s", read)
    assert seen == [(10, 20, 3), (14, 24, 3)]
    assert counts == {"agrees": 1, "left out": 1}
    labels = Shard(tmp_path / "s").labels
    assert labels[0]["text"] == "ABC" and labels[0]["cased"] == "Abc" and labels[0]["border"] == 2
    assert "cased" not in labels[1]


def test_a_second_teacher_leaves_nothing_of_the_first(tmp_path: Path) -> None:
    write_shard(tmp_path / "s", [(np.zeros((14, 24, 3), np.uint8), {"text": "ABC", "border": 2})])
    relabel_shard(tmp_path / "s", lambda crop: Reading("Abc", 0.9))
    relabel_shard(tmp_path / "s", lambda crop: Reading("xyz", 0.5))
    (label,) = Shard(tmp_path / "s").labels
    fields = {"teacher": "xyz", "teacher_confidence": 0.5, "disagreement": 1.0}
    assert label == {"text": "ABC", "border": 2, **fields}
