"""Case for upper-cased labels: a teacher reads the crop, and where it agrees otherwise, its case is taken.

Labels stay the authority on which characters stand there. Character by character along the cheapest
alignment of label and reading (both folded), a letter takes the case of the reading's letter in its place,
right or misread; a letter that only the label has takes the case of its neighbours, upper where there are
none. Where the two differ too much to be aligned, the line gets no `cased` text and training leaves it out:
the crop or the label is wrong.
"""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rapidfuzz.distance import Levenshtein

from training.data.charset import normalize
from training.data.shards import LABELS, Shard, write_jsonl
from training.data.teacher import Reading


def cased_text(label: str, reading: str) -> str:
    """The label with the reading's case.

    >>> cased_text("TOTAL AMT: RM 12.00", "Total Amt:RM12.00")
    'Total Amt: RM 12.00'
    """
    reading = unicodedata.normalize("NFKC", reading)
    case: list[bool | None] = [None] * len(label)  # True: upper
    for step in Levenshtein.opcodes(_fold(label), _fold(reading)):
        if step.tag in ("equal", "replace"):  # both cover as many characters of the one as of the other
            source, target = range(step.src_start, step.src_end), range(step.dest_start, step.dest_end)
            for i, j in zip(source, target, strict=True):
                case[i] = reading[j].isupper() if reading[j].isalpha() else None
    return "".join(
        c if up is None else c.upper() if up else c.lower()
        for c, up in zip(label, _filled(label, case), strict=True)
    )


def _fold(text: str) -> str:
    return "".join(
        c.lower() if len(c.lower()) == 1 else c for c in text
    )  # character by character: lengths stay


def _filled(label: str, case: list[bool | None]) -> list[bool | None]:
    """Gives letters without a case that of the next known one in the word, or of the one before."""
    filled = list(case)
    for i, char in enumerate(label):
        if filled[i] is None and char.isalpha():
            after = next(
                (case[j] for j in range(i + 1, len(label)) if not label[j].isalpha() or case[j] is not None),
                None,
            )
            before = filled[i - 1] if i and label[i - 1].isalpha() else None
            filled[i] = after if after is not None else before if before is not None else True
    return filled


def disagreement(label: str, reading: str) -> float:
    """Normalised edit distance without case and spaces, 0 to 1."""
    plain = ("".join(unicodedata.normalize("NFKC", text).casefold().split()) for text in (label, reading))
    return float(Levenshtein.normalized_distance(*plain))


def relabel(label: str, reading: Reading, *, trust_label_case: bool, reach: float = 0.4) -> dict[str, Any]:
    """What a reading adds to a label: `teacher`, `teacher_confidence`, `disagreement`, and `cased`.

    Args:
        label: the text as labelled.
        reading: the teacher's.
        trust_label_case: the labels' own case is right (`cased` is the label then).
        reach: up to this disagreement label and reading belong to the same print.
    """
    label = normalize(label)
    apart = disagreement(label, reading.text)
    fields = {
        "teacher": reading.text,
        "teacher_confidence": round(reading.confidence, 4),
        "disagreement": round(apart, 4),
    }
    if apart <= reach:
        fields["cased"] = label if trust_label_case else cased_text(label, reading.text)
    return fields


def relabel_shard(
    path: Path,
    read: Callable[[NDArray[np.uint8]], Reading],
    *,
    trust_label_case: bool = False,
    reach: float = 0.4,
    progress: Callable[[Iterable[int]], Iterable[int]] = iter,
) -> Counter[str]:
    """Reads every crop of a shard, adds the fields of `relabel` to its labels and counts what came out."""
    shard = Shard(path)
    counts: Counter[str] = Counter()
    labels = []
    for i in progress(range(len(shard))):
        label = shard.labels[i]
        border = label.get("border", 0)
        image = shard.image(i)
        reading = read(image[border : image.shape[0] - border, border : image.shape[1] - border])
        fields = relabel(label["text"], reading, trust_label_case=trust_label_case, reach=reach)
        counts[
            "agrees" if not fields["disagreement"] else "aligned" if "cased" in fields else "left out"
        ] += 1
        label.pop("cased", None)  # of an earlier call: this one may leave the line out
        labels.append({**label, **fields})
    write_jsonl(path / LABELS, labels)
    return counts
