"""Tables 3 and 5 to 15 of the PP-OCR paper (arXiv 2009.09941) as recipes, with the paper's figures.

A row is what it changes in the configuration of its table. `WARM_UP` in a change stands for a twentieth of
the steps. Table 4 holds settings, no experiment.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

CONSTANT = "schedule={name: constant}"
COSINE = "schedule={name: cosine_decay}"
WARM = "schedule={name: cosine_decay, options: {warm_up: WARM_UP}}"
BDA = "{name: bda, options: {geometry: false}}"


@dataclass(frozen=True, slots=True)
class Row:
    """One experiment.

    Attributes:
        name: what is special about it.
        score: the paper's: H-mean, accuracy or F-score, 0 to 1.
        megabytes: the paper's, of its inference model; 0 = not told.
        milliseconds: the paper's, on its own machines.
        changes: `key=value` over the table's configuration.
        slim: what is done to the network of the row before instead of training one.
        configs: of a system's row: the configurations of its detector, classifier and recogniser.
    """

    name: str
    score: float
    megabytes: float = 0.0
    milliseconds: float = 0.0
    changes: tuple[str, ...] = ()
    slim: Literal["", "prune", "quantize"] = ""
    configs: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Table:
    """A table of the paper.

    Attributes:
        about: what it compares.
        task: detection, direction, recognition, or system for all three together.
        rows: in the paper's order.
        changes: of all rows, beneath their own.
    """

    about: str
    task: str
    rows: tuple[Row, ...]
    changes: tuple[str, ...] = ()

    @property
    def score(self) -> str:
        """Name of the score that the paper gives."""
        return {"detection": "h_mean", "direction": "accuracy", "recognition": "exact"}.get(
            self.task, "end_to_end"
        )


def _options(*settings: str) -> tuple[str, ...]:
    return tuple(f"network.options.{setting}" for setting in settings)


def _direction_rows() -> tuple[Row, ...]:
    scores = {
        "nothing": 0.8879,
        "BDA": 0.9134,
        "BDA, CutMix": 0.9083,
        "BDA, Mixup": 0.9104,
        "BDA, Cutout": 0.9081,
        "BDA, HideAndSeek": 0.8598,
        "BDA, GridMask": 0.9140,
        "BDA, RandomErasing": 0.9193,
        "BDA, AutoAugment": 0.9133,
        "BDA, RandAugment": 0.9212,
    }
    names = ["", "", "cutmix", "mixup", "cutout", "hide_and_seek", "grid_mask", "random_erasing"]
    names += ["auto_augment", "rand_augment"]
    rows = []
    for (name, score), added in zip(scores.items(), names, strict=True):
        mixing = added in ("cutmix", "mixup")
        augment = [] if name == "nothing" else ["bda", *([added] if added and not mixing else [])]
        mix = [added] if mixing else []
        rows.append(
            Row(name, score, changes=(f"data.augment=[{', '.join(augment)}]", f"data.mix=[{', '.join(mix)}]"))
        )
    return tuple(rows)


_CALLED = "data.threshold=0.5"
"""The paper counts which way a line likelier stands; the job turns one only where it is surer than that."""
_LIGHT = ("detection", "direction", "recognition")

TABLES: dict[int, Table] = {
    3: Table(
        "detection: inner channels, squeeze-and-excitation, cosine decay, warm-up",
        "detection",
        (
            Row("inner 256, SE", 0.6127, 7.0, 406, (*_options("inner=256", "se=true"), CONSTANT)),
            Row("inner 96, SE", 0.6046, 4.1, 213, (*_options("se=true"), CONSTANT)),
            Row("inner 96", 0.6087, 2.6, 173, (CONSTANT,)),
            Row("cosine decay", 0.6112, 2.6, 173, (COSINE,)),
            Row("warm-up", 0.6239, 2.6, 173, (WARM,)),
        ),
    ),
    5: Table(
        "detection: backbones of MobileNetV3",
        "detection",
        (
            Row("large x1", 0.6463, 16.0, 447, _options("scale=1.0")),
            Row("large x0.5", 0.6127, 7.0, 406, _options("scale=0.5")),
            Row("large x0.35", 0.5935, 5.4, 367, _options("scale=0.35")),
            Row("small x1", 0.5919, 7.5, 380, _options("scale=1.0", "size=small")),
        ),
        (*_options("inner=256", "se=true"), CONSTANT),
    ),
    6: Table(
        "detection: FPGM pruning",
        "detection",
        (Row("whole", 0.6239, 2.6, 164), Row("pruned", 0.6169, 1.4, 133, slim="prune")),
        (WARM,),
    ),
    7: Table(
        "direction: backbones",
        "direction",
        (
            Row("MobileNetV3 small x0.5", 0.9494, 1.34, 3.22, _options("scale=0.5")),
            Row("MobileNetV3 small x0.35", 0.9403, 0.85, 3.21, _options("scale=0.35")),
            Row("ShuffleNetV2 x0.5", 0.9017, 1.72, 3.41, _options("backbone=shufflenet_v2")),
        ),
        (WARM, _CALLED),
    ),
    8: Table(
        "direction: size of the input, PACT quantisation",
        "direction",
        (
            Row("3 x 32 x 100", 0.9212, 0.85, 3.19, ("data.height=32", "data.width=100")),
            Row("3 x 48 x 192", 0.9403, 0.85, 3.21),
            Row("3 x 48 x 192, PACT", 0.9456, 0.46, 2.38, slim="quantize"),
        ),
        (WARM, _CALLED),
    ),
    9: Table(
        "direction: augmentation",
        "direction",
        _direction_rows(),
        (WARM, _CALLED, "data.height=32", "data.width=100"),
    ),
    10: Table(
        "recognition: backbones of MobileNetV3",
        "recognition",
        (
            Row("small x0.35", 0.6288, 22.0, 17.0, _options("scale=0.35")),
            Row("small x0.5", 0.6556, 23.0, 17.27, _options("scale=0.5")),
            Row("small x1", 0.6933, 28.0, 19.15, _options("scale=1.0")),
        ),
        (*_options("hidden=256"), WARM, f"data.augment=[{BDA}]"),
    ),
    11: Table(
        "recognition: channels of the head",
        "recognition",
        (
            Row("256", 0.6556, 23.0, 17.27, _options("hidden=256")),
            Row("96", 0.6673, 8.0, 13.36, _options("hidden=96")),
            Row("64", 0.6642, 5.6, 12.64, _options("hidden=64")),
            Row("48", 0.6581, 4.6, 12.26, _options("hidden=48")),
        ),
        (WARM, f"data.augment=[{BDA}]"),
    ),
    12: Table(
        "recognition: augmentation, cosine decay, stride, L2 decay, warm-up",
        "recognition",
        (
            Row(
                "S1 none of them",
                0.5193,
                0,
                11.84,
                ("data.augment=[]", CONSTANT, *_options("second_stride=[2, 1]")),
            ),
            Row("S2 BDA", 0.5505, 0, 11.84, (CONSTANT, *_options("second_stride=[2, 1]"))),
            Row("S3 cosine decay", 0.5652, 0, 11.84, (COSINE, *_options("second_stride=[2, 1]"))),
            Row("S4 stride (1, 1)", 0.6179, 0, 12.96, (COSINE,)),
            Row("S5 L2 decay", 0.6519, 0, 12.96, (COSINE, "optimizer.l2_decay=1e-5")),
            Row("S6 warm-up", 0.6581, 0, 12.96, (WARM, "optimizer.l2_decay=1e-5")),
            Row(
                "S7 TIA",
                0.6670,
                0,
                12.96,
                (
                    WARM,
                    "optimizer.l2_decay=1e-5",
                    f"data.augment=[{{name: tia, options: {{probability: 0.4}}}}, {BDA}]",
                ),
            ),
        ),
        ("optimizer.weight_decay=0.0", f"data.augment=[{BDA}]"),
    ),
    13: Table(
        "recognition: PACT quantisation",
        "recognition",
        (Row("float", 0.6581, 4.6, 12), Row("PACT", 0.674, 1.5, 11, slim="quantize")),
        (WARM, f"data.augment=[{BDA}]"),
    ),
    14: Table(
        "the whole system, pruned and quantised",
        "system",
        (
            Row("whole", 0.5193, 8.1, 306, configs=_LIGHT),
            Row("slim", 0.5210, 3.5, 268, slim="prune", configs=_LIGHT),
        ),
        (WARM,),
    ),
    15: Table(
        "the whole system, ultra-lightweight and large-scale",
        "system",
        (
            Row("ultra-lightweight", 0.5193, 8.1, 421, configs=_LIGHT),
            Row(
                "large-scale",
                0.5414,
                155.1,
                1199,
                configs=("detection_large", "direction", "recognition_large"),
            ),
        ),
        (WARM,),
    ),
}
