"""PDFs: at which resolution pages are drawn, what is damaged, and what is not drawn at all."""

from __future__ import annotations

import io
import os
import signal
import zlib
from collections.abc import Mapping
from dataclasses import asdict

import numpy as np
import pytest
from PIL import Image

from benchmarks.process import children
from models.decoding import Limits, apart, decode, decode_each
from models.decoding.pdf_objects import check
from models.records import InputError, Page

A4 = (595.0, 842.0)


def stream(data: bytes, head: str = "", packed: int = 0) -> bytes:
    for _ in range(packed):
        data = zlib.compress(data, 9)
    filters = f"/Filter [{'/FlateDecode ' * packed}]" if packed else ""
    return f"<< {head} {filters} /Length {len(data)} >>\nstream\n".encode() + data + b"\nendstream"


def document(objects: Mapping[int, bytes | str]) -> bytes:
    """A PDF of numbered objects, of which the first is its catalogue."""
    out, offsets = b"%PDF-1.5\n", {}
    for number, body in objects.items():
        offsets[number] = len(out)
        out += b"%d 0 obj\n" % number + (body.encode() if isinstance(body, str) else body) + b"\nendobj\n"
    rows = "".join(f"{offsets[number]:010d} 00000 n \n" for number in sorted(objects))
    size = len(objects) + 1
    end = f"xref\n0 {size}\n0000000000 65535 f \n{rows}trailer\n<< /Size {size} /Root 1 0 R >>\n"
    return out + (end + f"startxref\n{len(out)}\n%%EOF\n").encode()


def pages(contents: list[bytes]) -> bytes:
    """A PDF of a page for each stream of drawing; the streams come after the pages."""
    count = len(contents)
    objects: dict[int, bytes | str] = {
        1: "<< /Type /Catalog /Pages 2 0 R >>",
        2: f"<< /Type /Pages /Kids [{' '.join(f'{3 + i} 0 R' for i in range(count))}] /Count {count} >>",
    }
    for i in range(count):
        objects[3 + i] = (
            "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 300 200] /Resources << /Font << /T 99 0 R >> >>"
            f" /Contents {3 + count + i} 0 R >>"
        )
    return document(objects | {3 + count + i: content for i, content in enumerate(contents)})


def scan(
    box: tuple[float, float], pixels: tuple[int, int], over: str = "", strips: int = 1, form: bool = False
) -> bytes:
    """A PDF of one page that a picture covers, in strips, or inside a form; `over` is drawn upon it."""
    width, height = box
    kept = Image.new("L", (pixels[0], pixels[1] // strips), 255)
    kept.paste(0, (pixels[0] // 4, kept.height // 4, pixels[0] // 2, kept.height // 2))
    head = f"/Type /XObject /Subtype /Image /Width {kept.width} /Height {kept.height}"
    head += " /BitsPerComponent 8 /ColorSpace /DeviceGray"
    drawing = "".join(
        f"q {width} 0 0 {height / strips} 0 {height / strips * i} cm /I Do Q " for i in range(strips)
    )
    resources = "/XObject << /I 5 0 R /F 6 0 R >> /Font << /T 7 0 R >>"
    in_form = stream(
        drawing.encode(),
        f"/Type /XObject /Subtype /Form /BBox [0 0 {width} {height}]"
        " /Resources << /XObject << /I 5 0 R >> >>",
    )
    return document(
        {
            1: "<< /Type /Catalog /Pages 2 0 R >>",
            2: "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
            3: f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {width} {height}] /Resources << {resources} >>"
            " /Contents 4 0 R >>",
            4: stream(("/F Do " if form else drawing).encode() + over.encode()),
            5: stream(kept.tobytes(), head, packed=1),
            6: in_form,
            7: "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        }
    )


def one(data: bytes, limits: Limits | None = None) -> Page:
    (page,) = decode(data, limits or Limits(), one_channel=True)
    return page


def error_of(data: bytes, limits: Limits | None = None) -> InputError:
    with pytest.raises(InputError) as caught:
        list(decode(data, limits or Limits()))
    return caught.value


UNSEEN = "BT 3 Tr /T 12 Tf 10 10 Td (read before) Tj ET"
SEEN = "BT /T 12 Tf 10 10 Td (a stamp) Tj ET"


class TestResolution:
    @pytest.mark.parametrize("options", [{}, {"strips": 4}, {"form": True}, {"over": UNSEEN}, {"over": SEEN}])
    def test_a_small_page_is_drawn_as_its_scan_is(self, options: dict[str, object]) -> None:
        page = one(scan((60, 80), (900, 1200), **options))  # type: ignore[arg-type]
        assert (page.width, page.height) == pytest.approx((900, 1200), abs=2)

    def test_with_no_more_pixels_than_a4(self) -> None:
        page = one(scan((60, 80), (6000, 8000)))
        assert page.width * page.height == pytest.approx(595 * 842 * (200 / 72) ** 2, rel=0.01)

    @pytest.mark.parametrize("pixels", [(600, 850), (1240, 1754), (4960, 7016)])
    def test_of_a4_nothing_changes(self, pixels: tuple[int, int]) -> None:
        page = one(scan(A4, pixels))
        assert (page.width, page.height) == pytest.approx((1653, 2339), abs=1)

    def test_a_scan_of_a_point_a_pixel_is_not_blown_up(self) -> None:
        page = one(scan((1700, 2200), (1700, 2200), over=UNSEEN))
        assert page.width * page.height == pytest.approx(595 * 842 * (200 / 72) ** 2, rel=0.01)

    def test_unless_something_else_is_to_be_seen_on_it(self) -> None:
        assert one(scan((1200, 1600), (1200, 1600), over=SEEN)).width == pytest.approx(3334, abs=1)

    def test_a_small_picture_is_no_scan(self) -> None:
        page = one(scan((60, 80), (900, 1200)).replace(b"[0 0 60 80]", b"[0 0 99 99]"))
        assert (page.width, page.height) == pytest.approx((99 * 200 / 72, 99 * 200 / 72), abs=1)

    @pytest.mark.parametrize("box", [(1000, 30_000), (30_000, 1000)])
    def test_a_long_picture_keeps_its_pixels(self, box: tuple[int, int]) -> None:
        page = one(scan(box, box))
        assert (page.width, page.height) == pytest.approx(box, abs=1)

    def test_a_long_page_is_drawn_as_finely_as_a_short_one(self) -> None:
        page = one(scan((300, 9000), (10, 10), over=SEEN))
        assert (page.width, page.height) == pytest.approx((300 * 200 / 72, 9000 * 200 / 72), abs=1)

    def test_a_long_page_is_drawn_within_the_limits(self) -> None:
        page = one(scan((1000, 14_000), (10, 10)), Limits(max_pixels=1_400_000))
        assert page.width * page.height == pytest.approx(1_400_000, rel=0.01)
        assert one(scan((300, 9000), (10, 10)), Limits(target_side=300)).width == pytest.approx(200, abs=1)
        assert one(scan((100, 14_000), (10, 10)), Limits(pdf_dpi=400)).height < 65_536

    def test_a_picture_beyond_the_limits_is_refused(self) -> None:
        data = scan((60, 80), (900, 1200))
        assert one(data, Limits(max_pixels=1_080_000)).width > 800
        error = error_of(data, Limits(max_pixels=1_079_999))
        assert error.kind == "too_large" and "1,080,000" in error.message


class TestDamage:
    DRAWING = b"".join(b"BT /T 24 Tf 40 %d Td (words) Tj ET " % y for y in range(10, 200, 20))

    def whole(self, packed: int = 1) -> bytes:
        return pages([stream(self.DRAWING + b" %%%d" % i, packed=packed) for i in range(4)])

    @staticmethod
    def told(data: bytes) -> list[bool]:
        return [isinstance(page, Page) and page.damage is not None for page in decode_each(data)]

    @pytest.mark.parametrize("packed", [0, 1, 2])
    def test_a_whole_document_has_none(self, packed: int) -> None:
        assert self.told(self.whole(packed)) == [False] * 4

    def test_a_page_whose_drawing_is_gone(self) -> None:
        data = bytearray(self.whole())
        at = data.index(b"9 0 obj")
        data[at : data.index(b"10 0 obj")] = bytes(data.index(b"10 0 obj") - at)
        assert self.told(bytes(data)) == [False, False, True, False]

    def test_a_page_whose_drawing_cannot_be_unpacked(self) -> None:
        data = bytearray(self.whole())
        at = data.index(b"stream", data.index(b"8 0 obj")) + 20
        data[at : at + 10] = bytes(10)
        assert self.told(bytes(data)) == [False, True, False, False]

    def test_zeros_over_several_objects(self) -> None:
        data = bytearray(self.whole())
        start, end = data.index(b"8 0 obj") + 30, data.index(b"10 0 obj") + 30
        data[start:end] = bytes(end - start)
        assert self.told(bytes(data)) == [False, True, True, True]

    def test_a_form_that_a_page_shows(self) -> None:
        data = scan((60, 80), (90, 120), form=True)
        at = data.index(b"6 0 obj")
        assert self.told(data) == [False]
        assert self.told(data[:at] + data[at:].replace(b"endstream", b"xxxxxxxxx", 1)) == [True]

    def test_objects_packed_together_are_found(self) -> None:
        packed = stream(b"8 0 9 6 (one)\n<< /Two 2 >>", "/Type /ObjStm /N 2 /First 8", packed=1)
        data = pages([stream(self.DRAWING)]).replace(
            b"trailer", b"70 0 obj\n" + packed + b"\nendobj\ntrailer"
        )
        assert check(data).told(0) is None
        at = data.index(b"/ObjStm")
        broken = data[:at] + data[at:].replace(b"x\xda", b"xx", 1)
        assert check(broken).told(0) == "The PDF is broken: parts of some page are missing."

    @pytest.mark.parametrize("lost", [0, 1, 4])
    def test_a_wrong_checksum_is_one_and_a_missing_one_is_none(self, lost: int) -> None:
        packed = bytearray(zlib.compress(self.DRAWING))
        packed = packed[:-lost] if lost else packed[:-1] + bytes([packed[-1] ^ 1])
        head = f"<< /Filter /FlateDecode /Length {len(packed)} >>\nstream\n".encode()
        assert self.told(pages([head + bytes(packed) + b"\nendstream"])) == [not lost]

    def test_a_wrong_length_is_none(self) -> None:
        data = self.whole().replace(b"/Length", b"/Length 9%", 1)
        assert not any(self.told(data))

    def test_an_attached_pdf_is_not_this_one(self) -> None:
        data = pages([stream(self.DRAWING)]).replace(
            b"trailer",
            b"70 0 obj\n" + stream(self.whole()[:700], "/Type /EmbeddedFile") + b"\nendobj\ntrailer",
        )
        assert self.told(data) == [False]


def nested(depth: int, times: int) -> bytes:
    """Forms that draw the next one so many times each."""
    objects: dict[int, bytes | str] = {
        1: "<< /Type /Catalog /Pages 2 0 R >>",
        2: "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        3: "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 300 200] /Resources << /XObject << /F 5 0 R >> >>"
        " /Contents 4 0 R >>",
        4: stream(b"/F Do"),
    }
    for i in range(5, 5 + depth):
        last = i == 4 + depth
        drawing = b"0 0 9 9 re f" if last else b"/F Do " * times
        names = f"/Resources << /XObject << /F {i + 1} 0 R >> >>" if not last else ""
        objects[i] = stream(drawing, f"/Type /XObject /Subtype /Form /BBox [0 0 300 200] {names}", packed=1)
    return document(objects)


class TestBombs:
    """Before PDFium sees them."""

    @pytest.mark.parametrize("packed", [1, 2])
    @pytest.mark.parametrize("unit", [b"q ", b"0 0 m ", b"  "])
    def test_drawing_that_unpacks_to_a_thousand_times_its_size(self, unit: bytes, packed: int) -> None:
        error = error_of(pages([stream(unit * ((20 << 20) // len(unit)), packed=packed)]))
        assert error.kind == "too_large" and "unpack" in error.message

    def test_much_drawing_that_hardly_packs_is_drawn(self) -> None:
        numbers = np.random.default_rng(0).integers(0, 200, 40_000)
        drawing = b"".join(b"%d 0 0 rg 9 9 9 9 re f\n" % number for number in numbers)
        assert one(pages([stream(drawing, packed=1)])).damage is None

    def test_forms_in_forms(self) -> None:
        assert one(nested(4, 10)).damage is None
        error = error_of(nested(9, 10))
        assert error.kind == "too_large" and "forms" in error.message

    def test_a_form_that_draws_itself(self) -> None:
        assert error_of(nested(3, 2).replace(b"/F 6 0 R", b"/F 5 0 R")).kind == "too_large"
        assert error_of(nested(3, 2).replace(b"/F 7 0 R", b"/F 5 0 R")).kind == "too_large"

    def test_a_form_that_has_its_own_name_and_draws_another(self) -> None:
        data = nested(3, 2).replace(b"<< /F 6 0 R >>", b"<< /Own 5 0 R /F 6 0 R >>")
        assert check(data).told(0) is None

    def test_a_picture_that_is_packed_twice(self) -> None:
        packed = zlib.compress(bytes(1 << 25), 1)
        head = f"<< /Type /XObject /Subtype /Image /Width 9 /Height 9 /Length {len(packed)}"
        head += " /BitsPerComponent 8 /ColorSpace /DeviceGray /Filter [/FlateDecode /FlateDecode] >>"
        data = scan((60, 80), (90, 120))
        start = data.index(b"<<", data.index(b"5 0 obj"))
        end = data.index(b"endobj", start)
        bomb = head.encode() + b"\nstream\n" + packed + b"\nendstream\n"
        assert "unpack" in error_of(data[:start] + bomb + data[end:]).message


def test_pictures_of_a_scanned_page_are_not_unpacked_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    taken = []
    unpack = zlib.decompressobj

    def counted() -> object:
        taken.append(1)
        return unpack()

    monkeypatch.setattr(zlib, "decompressobj", counted)
    check(scan((60, 80), (900, 1200)))
    assert not taken


def test_what_pillow_writes_has_no_damage() -> None:
    buffer = io.BytesIO()
    image = Image.new("RGB", (200, 300), "white")
    image.save(buffer, "PDF", save_all=True, append_images=[image, image.convert("1")])
    assert [page.damage for page in decode(buffer.getvalue())] == [None] * 3


def tiled(step: str) -> bytes:
    """A PDF of two pages, of which the second is filled with tiles."""
    tile = "/Type /Pattern /PatternType 1 /PaintType 1 /TilingType 1 /BBox [0 0 .01 .01] /Resources << >>"
    page = "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 300 200] /Resources << /Pattern << /P 7 0 R >> >>"
    return document(
        {
            1: "<< /Type /Catalog /Pages 2 0 R >>",
            2: "<< /Type /Pages /Kids [3 0 R 4 0 R] /Count 2 >>",
            3: f"{page} /Contents 5 0 R >>",
            4: f"{page} /Contents 6 0 R >>",
            5: stream(b"0 0 9 9 re f"),
            6: stream(b"/Pattern cs /P scn 0 0 300 200 re f"),
            7: stream(b"0 0 .001 .001 re f", f"{tile} /XStep {step} /YStep {step}"),
        }
    )


def test_a_page_that_would_be_drawn_for_hours_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apart, "PAGE_S", 1)
    found = decode_each(tiled(".001"), one_channel=True)
    first = next(found)
    assert isinstance(first, Page) and first.image is not None
    with pytest.raises(InputError, match="Page 2 of the PDF takes over 1 seconds") as raised:
        next(found)
    assert raised.value.kind == "too_large"
    assert len(list(decode(tiled("9")))) == 2


def test_a_page_that_brings_pdfium_down_is_an_error_and_the_next_file_is_read() -> None:
    apart._end_idle()
    before = {*children(os.getpid())}
    found = decode_each(tiled("9"))
    next(found)
    (busy,) = {*children(os.getpid())} - before
    os.kill(busy, signal.SIGKILL)
    with pytest.raises(InputError) as raised:
        list(found)
    assert raised.value.kind == "crashed"
    assert len(list(decode(tiled("9")))) == 2


def test_pdfs_may_be_read_at_the_same_time_and_left() -> None:
    pairs = list(zip(decode(tiled("9")), decode(pages([stream(b"0 0 99 99 re f")] * 2)), strict=True))
    assert all(not np.array_equal(one.image, other.image) for one, other in pairs)
    next(decode(tiled("9")))
    assert [page.index for page in decode(tiled("9"))] == [0, 1]


def test_what_draws_pdfs_ends_with_its_process_also_while_it_draws() -> None:
    child, data = apart._take(), tiled(".001").replace(b"5 0 R", b"6 0 R")
    apart._tell(child, {"bytes": len(data), "limits": asdict(Limits()), "one_channel": True}, data)
    apart._tell(child, 5)
    child.told.close()
    assert child.process.wait() == 0
    child.end()
