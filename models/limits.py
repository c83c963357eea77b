"""What decoding may cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from models.records import InputError

LONGEST_SHAPE = 3
"""Length of a page in widths from which the width alone says how large its letters are: a longer page is seen
like several pages of this shape in a row."""


def deciding_side(width: float, height: float) -> float:
    """The length that says how large a page's letters may be: the longest side's, or that of three widths."""
    return min(max(width, height), LONGEST_SHAPE * min(width, height))


@dataclass(frozen=True, slots=True)
class Limits:
    """How large pages may be and how they are rendered.

    Attributes:
        max_pixels: pages with more are refused by their header. A decoded page takes 3 bytes a pixel (1 where
            grey is enough), and up to 12 while it is being decoded; of WebP with alpha and of AVIF up to 17,
            of JPEG 2000 up to 25, since their libraries make images of their own.
        max_pages: pages of one file that are read; a file with more gets one error behind them.
        pdf_dpi: resolution in dots an inch at which PDF pages are rendered; lower for a page that would
            exceed `max_pixels`, or twice `target_side` (three widths count as for JPEGs), and a scan's own
            where its page is not A4.
        pdf_text: whether the text layer of a PDF's page is taken where it is whole (`prefer`), so that the
            page is not read from its image, or never (`ignore`); see `models.decoding.text_layer`.
        target_side: JPEGs whose longest side is at least twice this, in pixels, are decoded at a half, a
            quarter or an eighth of their size, never below this. A line that is 8 pixels high where the
            detector sees the page at 1,280 pixels keeps 31 pixels for recognition. Of a page longer than
            three widths, these three count in the place of the side. None: full size.
    """

    max_pixels: int = 200_000_000
    max_pages: int = 10_000
    pdf_dpi: int = 200
    pdf_text: Literal["ignore", "prefer"] = "ignore"
    target_side: int | None = 5_000

    def check_size(self, width: int, height: int) -> None:
        """Checks a page's size, in pixels, before it is decoded.

        Raises:
            InputError: there are too many pixels, or none.
        """
        if width < 1 or height < 1:
            raise InputError("corrupt", f"The header says {width} x {height} pixels.")
        if width * height > self.max_pixels:
            raise InputError(
                "too_large",
                f"The page has {width:,} x {height:,} pixels, more than the {self.max_pixels:,} allowed.",
            )

    def reduction(self, width: int, height: int) -> int:
        """The factor, 1, 2, 4 or 8, by which a page of this size is reduced while it is decoded."""
        factors = (8, 4, 2) if self.target_side else ()
        side = deciding_side(width, height)
        return next((by for by in factors if side >= by * (self.target_side or 0)), 1)

    def too_many_pages(self) -> InputError:
        """The error that takes the place of the pages beyond `max_pages`."""
        return InputError(
            "too_large", f"The file has more than {self.max_pages:,} pages; the rest is not read."
        )
