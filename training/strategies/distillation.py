"""Distillation for CTC: the student's columns follow the characters that a teacher sees.

A teacher of another height and stride has columns of its own, so its probabilities are first laid over the
student's columns by their place along the line, and its classes over the student's charset by character.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def class_map(teacher: Sequence[str], student: Sequence[str]) -> NDArray[np.int64]:
    """For each student class (blank first) the teacher's class, -1 where the teacher lacks the character.

    Args:
        teacher: characters of the teacher's classes, the blank (class 0) included as "".
        student: characters of the student's charset, without the blank.
    """
    known = {char: index for index, char in reversed(list(enumerate(teacher)))}
    return np.asarray([0, *(known.get(char, -1) for char in student)], np.int64)


def aligned_targets(
    probabilities: NDArray[np.float32], columns: int, mapping: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Teacher probabilities (T', K') as (columns, K) of the student; rows sum to at most 1.

    Several teacher columns below one student column: the one most sure of a character wins, for a blank
    between two letters says nothing while a letter that is averaged away is lost.
    """
    picked = np.where(mapping >= 0, probabilities[:, np.maximum(mapping, 0)], 0.0).astype(np.float32)
    edges = np.linspace(0, len(picked), columns + 1)
    targets = np.empty((columns, len(mapping)), np.float32)
    for column, (start, stop) in enumerate(zip(edges, edges[1:], strict=False)):
        window = picked[int(start) : max(int(np.ceil(stop)), int(start) + 1)]
        targets[column] = window[int(np.argmin(window[:, 0]))]
    return targets


def distillation_loss(logits: Tensor, targets: Tensor, temperature: float = 1.0) -> Tensor:
    """Cross-entropy of the student's columns under the teacher's, averaged over columns.

    Args:
        logits: (N, T, K) of the student.
        targets: (N, T, K) of the teacher, rows summing to at most 1: what a row lacks counts for nothing.
        temperature: softens the student; the loss is scaled by its square, which keeps gradients alike.
    """
    logs = torch.log_softmax(logits / temperature, dim=2)
    return -(targets * logs).sum(dim=2).mean() * temperature**2
