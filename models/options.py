"""What may be asked of a reader. It imports no engine: the job's `--help` shows these values."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal
from unicodedata import normalize

from models.engine import Engine
from models.limits import Limits
from models.records import UsageError

if TYPE_CHECKING:
    from models.bundle import DetectionSpec, Manifest, RecognitionSpec


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """Everything besides the bundle that changes what is read, or a little: engines differ in rounding.

    Attributes:
        direction: which lines are asked whether they are upside down, see `DirectionClassifier`; `off`: none,
            and its model is not loaded.
        min_confidence: see `RecognitionSpec`; None: the bundle's.
        cell_gap: likewise.
        review_threshold: likewise.
        chars: whether to give each character's confidence and extent.
        words: whether to give each word's text, confidence and polygon.
        nfkc: whether to write characters in their plain form (Unicode's NFKC), such as full-width digits as
            those of ASCII.
        detection_limit: bound in pixels of the side that the bundle's resize policy bounds; None: the
            bundle's.
        box_threshold: see `DetectionSpec`; None: the bundle's.
        unclip_ratio: see `DetectionSpec`; None: the bundle's.
        second: the bundle whose recogniser is asked second, in the place of the bundle's own; None: that one.
        second_below: see `Manifest`; None: the bundle's.
        limits: of decoding.
        engine: what runs the models, see `models.engine.choose`.
    """

    direction: Literal["all", "sample", "off"] = "sample"
    min_confidence: float | None = None
    cell_gap: float | None = None
    review_threshold: float | None = None
    chars: bool = False
    words: bool = False
    nfkc: bool = False
    detection_limit: int | None = None
    box_threshold: float | None = None
    unclip_ratio: float | None = None
    second: str | None = None
    second_below: float | None = None
    limits: Limits = Limits()
    engine: Engine = "auto"

    def detection(self, spec: DetectionSpec) -> DetectionSpec:
        """The bundle's detection values with those that were asked for in their place."""
        asked: dict[str, Any] = {
            "limit": self.detection_limit,
            "box_threshold": self.box_threshold,
            "unclip_ratio": self.unclip_ratio,
        }
        return replace(spec, **_given(asked))

    def recognition(self, spec: RecognitionSpec) -> RecognitionSpec:
        """Likewise of recognition."""
        plain = tuple(normalize("NFKC", char) for char in spec.charset) if self.nfkc else None
        asked = {
            "min_confidence": self.min_confidence,
            "cell_gap": self.cell_gap,
            "review_threshold": self.review_threshold,
            "charset": plain,
        }
        return replace(spec, **_given(asked))

    def below(self, manifest: Manifest) -> float | None:
        """The confidence below which lines are read again; None: there is no second recogniser."""
        if manifest.second is None:
            return None
        return manifest.second_below if self.second_below is None else self.second_below

    def settled(self, manifest: Manifest) -> ReadOptions:
        """The same with the bundle's values in the place of None: what is in force.

        Args:
            manifest: of the bundle, with the second recogniser that was asked for.

        Raises:
            UsageError: `second_below` is asked for where there is no second recogniser.
        """
        if self.second_below is not None and manifest.second is None:
            raise UsageError(
                f"the bundle {manifest.name} has no second recogniser that --second_below could be for: "
                "name a bundle that has one with --second"
            )
        detection, recognition = self.detection(manifest.detection), self.recognition(manifest.recognition)
        return replace(
            self,
            min_confidence=recognition.min_confidence,
            cell_gap=recognition.cell_gap,
            review_threshold=recognition.review_threshold,
            detection_limit=detection.limit,
            box_threshold=detection.box_threshold,
            unclip_ratio=detection.unclip_ratio,
            second_below=self.below(manifest),
        )


def _given(asked: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in asked.items() if value is not None}


DEFAULTS = ReadOptions()
