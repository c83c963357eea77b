from __future__ import annotations

import numpy as np
import torch

from training.strategies.distillation import aligned_targets, class_map, distillation_loss

TEACHER = ["", "b", "a", "x"]


def test_classes_are_matched_by_character() -> None:
    assert class_map(TEACHER, ["a", "b", "c"]).tolist() == [0, 2, 1, -1]


def test_a_letter_survives_fewer_columns_and_the_missing_counts_for_nothing() -> None:
    teacher = np.float32([[0.9, 0.1, 0, 0], [0.2, 0.0, 0.8, 0], [1, 0, 0, 0], [0.5, 0, 0, 0.5]])
    targets = aligned_targets(teacher, 2, class_map(TEACHER, ["a", "b", "c"]))
    np.testing.assert_allclose(targets, [[0.2, 0.8, 0.0, 0], [0.5, 0, 0, 0]])


def test_fewer_teacher_columns_are_spread() -> None:
    teacher = np.float32([[1, 0, 0, 0], [0, 1, 0, 0]])
    targets = aligned_targets(teacher, 4, class_map(TEACHER, ["b"]))
    assert targets.argmax(1).tolist() == [0, 0, 1, 1]


def test_the_loss_is_smallest_where_student_and_teacher_agree() -> None:
    targets = torch.tensor([[[0.7, 0.2, 0.1]]])
    agreeing = distillation_loss(targets.log(), targets)
    torch.testing.assert_close(agreeing, -(targets * targets.log()).sum())
    assert distillation_loss(torch.tensor([[[0.1, 0.2, 0.7]]]).log(), targets) > agreeing
