"""`ppocr-train synthesize`: made lines, pages, direction samples and development sets."""

from __future__ import annotations

from training.synthesis.command import add_arguments, run

__all__ = ["add_arguments", "run"]
