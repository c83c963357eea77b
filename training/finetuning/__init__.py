"""A bundle tuned to somebody's own documents: what `ppocr-train finetune` does."""

from __future__ import annotations

ALLOWED_LOSS = 0.02
"""Share of made lines that may be lost unless the user says otherwise, who wants the own pages read."""
