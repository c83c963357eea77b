"""Small PDFs with a text layer, true or not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pypdfium2

from tests.corpus import pdf_of

WIDTH, HEIGHT = 420, 300


def text(words: str, x: float, y: float, size: float = 12, font: str = "F1", before: str = "") -> str:
    """Operators that set a text; x and y in points from the bottom left; parentheses are escaped."""
    escaped = words.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)")
    return f"BT {before} /{font} {size} Tf {x} {y} Td ({escaped}) Tj ET"


def turned(words: str, x: float, y: float, matrix: str, size: float = 12) -> str:
    """A text in axes of its own: `matrix` is "a b c d"."""
    return f"BT /F1 {size} Tf {matrix} {x} {y} Tm ({words}) Tj ET"


def document(*pages: str, extra: str = "") -> bytes:
    """A PDF whose pages draw the operators given.

    All fonts are Helvetica; the layer names the next letter of what is set in F2, private characters
    for F3's, and the ligatures fi and ff for `!` and `$` in F4. I1 is a dark image.
    """
    fonts = " ".join(f"/F{i} {2 + i} 0 R" for i in range(1, 5))
    kids = " ".join(f"{20 + 2 * i} 0 R" for i in range(len(pages)))
    objects = {
        1: "<< /Type /Catalog /Pages 2 0 R >>",
        2: f"<< /Type /Pages /Kids [{kids}] /Count {len(pages)} >>",
        3: _font(""),
        4: _font("/ToUnicode 7 0 R"),
        5: _font("/ToUnicode 8 0 R"),
        6: _font("/ToUnicode 9 0 R"),
        7: _map(lambda char: chr(ord(char) + 1)),
        8: _map(lambda char: chr(0xE000 + ord(char))),
        9: _map({"!": "\ufb01", "$": "ff"}.get),
        10: _stream("<< /Type /XObject /Subtype /Image /Width 1 /Height 1 /ColorSpace /DeviceGray", "@", 8),
    }
    for i, content in enumerate(pages):
        objects[20 + 2 * i] = (
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {WIDTH} {HEIGHT}] {extra} /Resources "
            f"<< /Font << {fonts} >> /XObject << /I1 10 0 R >> >> /Contents {21 + 2 * i} 0 R >>"
        )
        objects[21 + 2 * i] = _stream("<<", content)
    return pdf_of(objects)


def page(*operators: str, extra: str = "") -> Any:
    """The first page of such a document, opened."""
    return pypdfium2.PdfDocument(document("\n".join(operators), extra=extra))[0]


def _font(more: str) -> str:
    return f"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding {more} >>"


def _map(named: Callable[[str], str | None]) -> str:
    """What the layer names the characters, themselves where `named` gives nothing."""
    codes = ((code, named(chr(code)) or chr(code)) for code in range(33, 127))
    rows = "\n".join(f"<{code:02X}> <{name.encode('utf-16-be').hex()}>" for code, name in codes)
    return _stream(
        "<<",
        "/CIDInit /ProcSet findresource begin 12 dict begin begincmap /CMapName /X def /CMapType 2 def\n"
        f"1 begincodespacerange <00> <FF> endcodespacerange\n94 beginbfchar\n{rows}\nendbfchar\n"
        "endcmap end end",
    )


def _stream(head: str, content: str, bits: int = 0) -> str:
    depth = f" /BitsPerComponent {bits}" if bits else ""
    return f"{head}{depth} /Length {len(content.encode('utf-8'))} >>\nstream\n{content}\nendstream"
