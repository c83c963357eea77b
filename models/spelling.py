"""How the texts of labels and of PDFs' text layers are spelt."""

from __future__ import annotations

import unicodedata

# What print does not tell apart, or what a charset without the left one means by the right one.
_EQUIVALENTS = str.maketrans(
    {"\t": " ", "\u00a0": " ", "\u2010": "-", "\u2011": "-", "\u2212": "-", "\u02bc": "'"}
)


def normalize(text: str) -> str:
    """One spelling for what print does not tell apart: composed accents, plain spaces and hyphens."""
    return " ".join(unicodedata.normalize("NFC", text).translate(_EQUIVALENTS).split())
