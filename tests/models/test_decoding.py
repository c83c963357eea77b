from __future__ import annotations

import io
import re
import sys
import threading

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from models.decoding import Limits, decode, decode_each, raster
from models.decoding.pixels import to_8_bit, upright
from models.records import InputError, Page
from tests import corpus
from tests.corpus import encoded, pdf

SIZE = (64, 40)


def picture() -> Image.Image:
    """White, with a red block in the upper left corner and a blue one in the lower right."""
    pixels = np.full((SIZE[1], SIZE[0], 3), 255, np.uint8)
    pixels[:16, :24] = (255, 0, 0)
    pixels[24:, 48:] = (0, 0, 255)
    return Image.fromarray(pixels)


def bgr(image: Image.Image) -> np.ndarray:
    return np.asarray(image.convert("RGB"))[..., ::-1]


def one(data: bytes, limits: Limits | None = None) -> Page:
    (page,) = decode(data, limits or Limits())
    assert page.image is not None
    return page


def error_of(data: bytes, limits: Limits | None = None) -> InputError:
    with pytest.raises(InputError) as caught:
        list(decode(data, limits or Limits()))
    return caught.value


def difference(page: Page, expected: np.ndarray) -> float:
    """Mean absolute difference of two images of the same shape."""
    assert page.image is not None and page.image.shape == expected.shape
    return float(np.abs(page.image.astype(int) - expected.astype(int)).mean())


class TestGrey:
    """Pages for models that take grey: the same pages as in colour, with what OpenCV calls their grey."""

    @pytest.mark.parametrize("orientation", [1, 6])
    @pytest.mark.parametrize("target", [None, 100])
    def test_of_a_jpeg(self, target: int | None, orientation: int) -> None:
        exif = Image.Exif()
        exif[0x0112] = orientation
        data = encoded("JPEG", corpus.page((200, 120)), exif=exif)
        limits = Limits(target_side=target)
        (colour,), (grey,) = decode(data, limits), decode(data, limits, one_channel=True)
        assert colour.image is not None and (grey.width, grey.height) == (colour.width, colour.height)
        # The decoder gives the luma that the file holds; colour goes to RGB, is rounded, and comes back.
        assert difference(grey, cv2.cvtColor(colour.image, cv2.COLOR_BGR2GRAY)) < 1

    @pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF", "GIF"])
    def test_of_other_images(self, kind: str) -> None:
        data = encoded(kind, picture())
        (colour,), (grey,) = decode(data), decode(data, one_channel=True)
        assert colour.image is not None
        assert difference(grey, cv2.cvtColor(colour.image, cv2.COLOR_BGR2GRAY)) == 0

    def test_of_a_pdf(self) -> None:
        pages = list(decode(pdf(["one", "two"]), one_channel=True))
        assert [page.image.shape for page in pages if page.image is not None] == [
            (page.height, page.width) for page in pages
        ]

    def test_a_jpeg_that_lacks_much_is_refused_and_one_that_lacks_little_is_read(self) -> None:
        data = encoded("JPEG", corpus.page((200, 400)), quality=95)
        with pytest.raises(InputError, match="too early"):
            list(decode(data[: len(data) // 2], one_channel=True))
        (page,) = decode(data[:-40], one_channel=True)
        assert page.image is not None and page.image.shape == (400, 200)


class TestPixels:
    @pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "GIF", "PPM", "TGA", "QOI", "SGI", "PCX", "ICO"])
    def test_lossless_formats_keep_every_pixel(self, kind: str) -> None:
        image = picture().resize((64, 64), Image.Resampling.NEAREST) if kind == "ICO" else picture()
        page = one(encoded(kind, image, **({"sizes": [(64, 64)]} if kind == "ICO" else {})))
        assert difference(page, bgr(image)) == 0
        assert (page.width, page.height) == image.size

    @pytest.mark.parametrize("kind", ["JPEG", "WEBP", "JPEG2000", "AVIF"])
    def test_lossy_formats_come_close(self, kind: str) -> None:
        assert difference(one(encoded(kind, picture(), quality=95)), bgr(picture())) < 8

    @pytest.mark.parametrize("progressive", [False, True])
    @pytest.mark.parametrize("subsampling", [0, 2])
    def test_jpeg_is_what_pillow_reads(self, progressive: bool, subsampling: int) -> None:
        data = encoded("JPEG", corpus.page(), progressive=progressive, subsampling=subsampling)
        assert difference(one(data), bgr(Image.open(io.BytesIO(data)))) < 0.5

    @pytest.mark.parametrize("mode", ["L", "1", "P", "CMYK", "YCbCr"])
    def test_modes_look_alike(self, mode: str) -> None:
        kind = "JPEG" if mode == "YCbCr" else "TIFF"
        image = picture().convert(mode)
        assert difference(one(encoded(kind, image)), bgr(image)) < 8

    def test_cmyk_jpeg(self) -> None:
        assert difference(one(encoded("JPEG", picture().convert("CMYK"), quality=95)), bgr(picture())) < 8

    @pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
    def test_alpha_is_laid_over_white(self, mode: str) -> None:
        image = Image.new("RGBA", SIZE, (0, 0, 0, 0))
        image.paste((0, 0, 0, 255), (0, 0, 32, 40))
        image.paste((0, 0, 0, 128), (32, 0, 48, 40))
        converted = image.convert(mode) if mode != "P" else image.quantize(8)
        page = one(encoded("PNG", converted))
        assert page.image is not None
        columns = page.image[20, [5, 40, 60]].mean(axis=1)
        assert columns == pytest.approx([0, 127, 255], abs=2)

    def test_palette_with_a_transparent_color(self) -> None:
        image = Image.new("P", SIZE, 1)
        image.putpalette([0, 0, 0, 9, 9, 9])
        page = one(encoded("PNG", image, transparency=1))
        assert page.image is not None and (page.image == 255).all()

    def test_animated_gives_its_first_frame(self) -> None:
        blue = Image.new("RGB", SIZE, "blue")
        for kind in ("GIF", "PNG"):
            page = one(encoded(kind, picture(), save_all=True, append_images=[blue, blue]))
            assert difference(page, bgr(picture())) == 0
        assert (
            difference(
                one(encoded("WEBP", picture(), save_all=True, append_images=[blue], lossless=True)),
                bgr(picture()),
            )
            == 0
        )


class TestDepth:
    RAMP = np.linspace(0, 255, 64).round().astype(np.uint8)[None].repeat(4, 0)

    @pytest.mark.parametrize(
        ("values", "kind"),
        [
            pytest.param(RAMP.astype(np.uint16) * 257, "PNG", id="16 bit"),
            pytest.param(RAMP.astype(np.uint16) * 257, "TIFF", id="16 bit TIFF"),
            pytest.param(RAMP.astype(np.uint16) * 16, "PNG", id="12 bit in 16"),
            pytest.param(RAMP.astype(np.uint16), "PNG", id="8 bit in 16"),
            pytest.param(RAMP.astype(np.int32) * 100_000, "TIFF", id="32 bit"),
            pytest.param(RAMP.astype(np.float32) / 255, "TIFF", id="float to 1"),
            pytest.param(RAMP.astype(np.float32), "TIFF", id="float to 255"),
            pytest.param(RAMP.astype(np.float32) * 3 - 300, "TIFF", id="float, negative"),
        ],
    )
    def test_is_scaled_and_never_clipped(self, values: np.ndarray, kind: str) -> None:
        page = one(encoded(kind, Image.fromarray(values)))
        assert page.image is not None
        assert np.abs(page.image[..., 0].astype(int) - self.RAMP).max() <= 1

    def test_what_is_no_number_is_black(self) -> None:
        values = np.float32([[np.nan, np.inf, -np.inf, 1.0]])
        assert to_8_bit(values).tolist() == [[0, 0, 0, 255]]

    def test_flat_values_divide_by_nothing(self) -> None:
        assert to_8_bit(np.full((2, 2), -5.0, np.float32)).tolist() == [[0, 0], [0, 0]]


class TestOrientation:
    @pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP", "AVIF"])
    @pytest.mark.parametrize("value", range(1, 9))
    def test_is_undone(self, value: int, kind: str) -> None:
        turn = Image.Transpose
        undo = [
            *(None, turn.FLIP_LEFT_RIGHT, turn.ROTATE_180, turn.FLIP_TOP_BOTTOM),
            *(turn.TRANSPOSE, turn.ROTATE_90, turn.TRANSVERSE, turn.ROTATE_270),
        ][value - 1]
        stored = picture() if undo is None else picture().transpose(undo)
        exif = Image.Exif()
        exif[0x0112] = value
        page = one(encoded(kind, stored, exif=exif))
        assert (page.width, page.height) == SIZE
        assert difference(page, bgr(picture())) < 8

    @pytest.mark.parametrize("value", [0, 9, 99, "x"])
    def test_nonsense_changes_nothing(self, value: object) -> None:
        image = np.zeros((2, 3, 3), np.uint8)
        assert upright(image, value) is image  # type: ignore[arg-type]

    def test_broken_exif_is_no_reason_to_fail(self) -> None:
        garbage = b"Exif\x00\x00II*\x00\x08\x00\x00\x00" + b"\xff" * 60
        assert difference(one(encoded("JPEG", picture(), exif=garbage)), bgr(picture())) < 8


class TestReduction:
    @pytest.mark.parametrize(
        ("target", "by"), [(None, 1), (101, 1), (100, 2), (51, 2), (50, 4), (25, 8), (5, 8)]
    )
    def test_halves_down_to_the_target(self, target: int | None, by: int) -> None:
        page = one(encoded("JPEG", corpus.page((200, 120))), Limits(target_side=target))
        assert (page.width, page.height) == (200, 120)
        assert page.image is not None and page.image.shape == (120 // by, 200 // by, 3)

    def test_looks_like_the_whole(self) -> None:
        data = encoded("JPEG", picture().resize((640, 400)))
        small = one(data, Limits(target_side=160))
        whole = one(data, Limits(target_side=None))
        assert difference(small, cv2.resize(whole.image, (160, 100), interpolation=cv2.INTER_AREA)) < 3

    def test_turned_pages_too(self) -> None:
        exif = Image.Exif()
        exif[0x0112] = 6
        page = one(encoded("JPEG", corpus.page((200, 120)), exif=exif), Limits(target_side=100))
        assert (page.width, page.height) == (120, 200)
        assert page.image is not None and page.image.shape == (100, 60, 3)


class TestTruncation:
    PAGE = encoded("JPEG", corpus.page((320, 640)).resize((320, 640)), quality=95)

    @staticmethod
    def noisy(progressive: bool = False) -> bytes:
        """A JPEG whose bytes are spread evenly over its rows."""
        pixels = np.random.default_rng(1).integers(0, 255, (600, 200, 3), np.uint8)
        return encoded("JPEG", Image.fromarray(pixels), progressive=progressive)

    @pytest.mark.parametrize("share", [0.97, 0.999])
    def test_nearly_whole_jpeg_is_read(self, share: float) -> None:
        data = self.noisy()
        page = one(data[: int(len(data) * share)])
        whole = one(data)
        assert page.image is not None and whole.image is not None
        kept = int(600 * share) - 16
        assert np.abs(page.image[:kept].astype(int) - whole.image[:kept]).mean() < 1

    @pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
    def test_jpeg_that_lost_more_is_an_error(self, share: float) -> None:
        data = self.noisy()
        error = error_of(data[: int(len(data) * share)])
        assert error.kind == "truncated"
        lost = re.search(r"about (\d+)% of its rows", error.message)
        assert lost and int(lost[1]) == pytest.approx(100 * (1 - share), abs=3)

    def test_progressive_jpeg_is_whole_or_nothing(self) -> None:
        data = self.noisy(progressive=True)
        assert error_of(data[: len(data) * 9 // 10]).kind == "truncated"

    def test_white_margin_is_no_loss(self) -> None:
        image = corpus.page((320, 640))
        image.paste("white", (0, 200, 320, 640))
        assert difference(one(encoded("JPEG", image, quality=95)), bgr(image)) < 8

    @pytest.mark.parametrize("trailer", [b"", b"\0\0\n"])
    def test_a_whole_jpeg_is_decoded_once(self, trailer: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
        data = encoded("JPEG", Image.new("RGB", SIZE, "white")) + trailer
        monkeypatch.setattr(raster, "to_bgr", None)
        assert one(data).image is not None

    def test_a_thumbnails_end_is_not_the_files(self) -> None:
        data = self.noisy()
        thumbnail = b"\xff\xe1\x00\x06\xff\xd8\xff\xd9"
        assert error_of(data[:2] + thumbnail + data[2 : len(data) // 2]).kind == "truncated"

    def test_blank_page(self) -> None:
        assert (
            difference(
                one(encoded("JPEG", Image.new("RGB", SIZE, "white"))), bgr(Image.new("RGB", SIZE, "white"))
            )
            == 0
        )

    @pytest.mark.parametrize("kind", ["PNG", "GIF", "BMP"])
    def test_other_formats_are_whole_or_nothing(self, kind: str) -> None:
        data = encoded(kind)
        assert error_of(data[: len(data) * 2 // 3]).kind == "truncated"


class TestDamagedPng:
    """Of pixels that are wrong nothing may be read."""

    def test_pixels_that_cannot_be_unpacked(self) -> None:
        data = bytearray(encoded("png"))
        at = data.index(b"IDAT") + 12
        data[at : at + 6] = bytes(6)
        assert error_of(bytes(data)).kind == "corrupt"

    def test_pixels_that_can_be_unpacked_and_are_others(self) -> None:
        buffer = io.BytesIO()
        picture().save(buffer, "PNG", compress_level=0)
        data = bytearray(buffer.getvalue())
        data[data.index(b"IDAT") + 500] ^= 0xFF
        assert error_of(bytes(data)).kind == "corrupt"

    def test_zeros_in_place_of_the_end(self) -> None:
        data = encoded("png")
        assert error_of(data[: len(data) // 2] + bytes(len(data) // 2)).kind in ("corrupt", "truncated")

    def test_what_follows_the_pixels_does_not_matter(self) -> None:
        data = encoded("png")
        assert one(data + b"more").width == one(data[: data.index(b"IEND") - 4]).width


class TestLimits:
    @pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "GIF", "WEBP", "AVIF", "JPEG2000"])
    def test_pixels_are_capped_by_the_header(self, kind: str) -> None:
        data = encoded(kind, corpus.page((200, 100)))
        assert one(data, Limits(max_pixels=20_000)).width == 200
        error = error_of(data, Limits(max_pixels=19_998))
        assert error.kind == "too_large"
        assert "19,998" in error.message

    def test_pages_are_capped(self) -> None:
        frames = [picture()] * 3
        for data in (encoded("TIFF", picture(), save_all=True, append_images=frames), pdf(["x"] * 4)):
            assert len(list(decode(data, Limits(max_pages=4)))) == 4
            pages = []
            with pytest.raises(InputError, match="more than 3 pages") as caught:
                for page in decode_each(data, Limits(max_pages=3)):
                    pages.append(page)
            assert len(pages) == 3
            assert caught.value.kind == "too_large"

    def test_thousands_of_scans_are_refused(self) -> None:
        (bomb,) = [item for item in corpus.bombs() if "scans" in item.name]
        assert "scans" in error_of(bomb.data).message

    MARKS = b"\xff\xda" * 300

    @pytest.mark.parametrize("usual", [{}, {"progressive": True}, {"restart_marker_blocks": 1}])
    def test_what_lies_behind_a_jpegs_end_is_no_scan(self, usual: dict[str, int]) -> None:
        data = encoded("JPEG", picture(), **usual)
        assert difference(one(data + self.MARKS), bgr(Image.open(io.BytesIO(data)))) < 0.5

    def test_what_a_segment_of_a_jpeg_holds_is_no_scan(self) -> None:
        assert one(encoded("JPEG", picture(), exif=b"Exif\0\0" + self.MARKS)).width == SIZE[0]

    @pytest.mark.parametrize(
        "between",
        [
            pytest.param(b"\xff\xfe\x00\x04\xff\xd9", id="an end mark in a comment"),
            pytest.param(b"\xff\xfe\x00\x00", id="a length of nothing"),
            pytest.param(b"\xff\xd0\xff\x01\xff\xff", id="marks without a length, and filling"),
        ],
    )
    def test_scans_do_not_hide_behind_what_is_none(self, between: bytes) -> None:
        progressive = encoded("JPEG", picture(), progressive=True)
        last = progressive.rindex(b"\xff\xda")
        bomb = progressive[:last] + (between + progressive[last:-2]) * 300 + b"\xff\xd9"
        assert "scans" in error_of(bomb).message

    def test_no_memory_is_an_error_of_the_page(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def exhausted(*args: object) -> None:
            raise MemoryError

        monkeypatch.setattr(raster, "to_bgr", exhausted)
        assert error_of(encoded("PNG")).kind == "too_large"


class TestDocuments:
    def test_every_page_of_a_tiff(self) -> None:
        frames = [Image.new("L", (30 + i, 20), 80 * i) for i in range(3)]
        pages = list(decode(encoded("TIFF", frames[0], save_all=True, append_images=frames[1:])))
        assert [(page.index, page.width) for page in pages] == [(0, 30), (1, 31), (2, 32)]
        assert [int(page.image.mean()) for page in pages if page.image is not None] == [0, 80, 160]

    def test_thumbnails_in_a_tiff_are_no_pages(self) -> None:
        thumbnail = picture().resize((16, 10))
        thumbnail.encoderinfo = {"tiffinfo": {254: 1}}
        data = encoded("TIFF", picture(), save_all=True, append_images=[thumbnail, picture()])
        assert [page.width for page in decode(data)] == [64, 64]

    def test_a_broken_page_fails_alone(self) -> None:
        (item,) = [item for item in corpus.tiffs() if "broken" in item.name]
        outcomes = list(decode_each(item.data))
        assert [type(outcome) for outcome in outcomes] == [Page, InputError, Page]
        assert [page.index for page in outcomes if isinstance(page, Page)] == [0, 2]
        with pytest.raises(InputError):
            list(decode(item.data))

    @pytest.mark.parametrize("dpi", [72, 200])
    def test_pdf_pages_are_drawn_at_the_resolution_asked_for(self, dpi: int) -> None:
        pages = list(decode(pdf(["one", "two"]), Limits(pdf_dpi=dpi)))
        assert [page.index for page in pages] == [0, 1]
        for page in pages:
            assert (page.width, page.height) == pytest.approx((300 * dpi / 72, 200 * dpi / 72), abs=1)
            assert page.image is not None
            assert page.image.shape == (page.height, page.width, 3)
            assert page.image.max() == 255 and page.image.min() < 60  # paper and ink

    def test_pdf_page_that_would_be_too_large_is_drawn_smaller(self) -> None:
        page = one(pdf(["x"], box="0 0 3000 2000"), Limits(max_pixels=60_000))
        assert 50_000 < page.width * page.height <= 60_000
        assert one(pdf(["x"], box="0 0 3000 2000"), Limits(target_side=400)).width == 800

    def test_pdf_after_other_bytes(self) -> None:
        assert one(b"\n" * 100 + pdf(["x"])).width > 0

    @pytest.mark.parametrize(
        ("kind", "options"),
        [
            ("JPEG", {"comment": b"made from %PDF-1.4"}),
            ("GIF", {"comment": b"made from %PDF-1.4"}),
            ("PNG", {"exif": b"made from %PDF-1.4"}),
            ("WEBP", {"exif": b"made from %PDF-1.4"}),
            ("TIFF", {"software": "made from %PDF-1.4"}),
            ("TIFF", {"software": "made from %PDF-1.4", "big_tiff": True}),
            ("BMP", {}),
        ],
    )
    def test_an_image_that_tells_of_a_pdf_is_none(self, kind: str, options: dict[str, object]) -> None:
        image = Image.frombytes("RGB", (8, 8), b"%PDF-1.4" * 24, "raw", "BGR")
        data = encoded(kind, image, **options)
        assert b"%PDF-" in data[:1024]
        assert one(data).width == 8

    @pytest.mark.parametrize(("name", "kind"), [("encrypted", "encrypted"), ("no pages", "corrupt")])
    def test_pdf_that_cannot_be_read(self, name: str, kind: str) -> None:
        (item,) = [item for item in corpus.pdfs() if name in item.name]
        assert error_of(item.data).kind == kind

    def test_pdf_that_is_cut_off(self) -> None:
        data = pdf(["one"])
        assert error_of(data[: len(data) // 2]).kind == "corrupt"

    def test_pdf_is_safe_in_threads(self) -> None:
        data, sizes = pdf(["one", "two", "three"]), []
        threads = [
            threading.Thread(target=lambda: sizes.append([page.width for page in decode(data)]))
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sizes == [[834, 834, 834]] * 4


class TestWhatIsNoImage:
    def test_no_bytes(self) -> None:
        assert error_of(b"").kind == "empty"

    @pytest.mark.parametrize(
        "data", [b"some text", b"<html></html>", bytes(100), b"PK\x03\x04rest", b"%!PS-Adobe-3.0"]
    )
    def test_says_how_it_starts(self, data: bytes) -> None:
        error = error_of(data)
        assert error.kind == "not_an_image"
        assert repr(data[:4])[1:-1] in error.message

    @pytest.mark.parametrize("kind", ["PNG", "GIF", "TIFF", "BMP"])
    def test_signature_without_an_image(self, kind: str) -> None:
        assert error_of(encoded(kind)[:9]).kind in ("corrupt", "truncated")

    @pytest.mark.parametrize(
        ("module", "data", "extra"),
        [("pypdfium2", pdf(["x"]), "pdf"), ("pillow_heif", b"\x00\x00\x00\x18ftypheic" + bytes(20), "heic")],
    )
    def test_missing_extra(
        self, module: str, data: bytes, extra: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, module, None)
        error = error_of(data)
        assert error.kind == "missing_extra"
        assert f"ppocr-beam[{extra}]" in error.message


SOURCES = {
    "jpeg": encoded("JPEG", picture()),
    "progressive": encoded("JPEG", picture(), progressive=True),
    "png": encoded("PNG", picture()),
    "tiff": encoded("TIFF", picture(), compression="tiff_lzw"),
    "pages": encoded("TIFF", picture(), save_all=True, append_images=[picture()]),
    "webp": encoded("WEBP", picture()),
    "gif": encoded("GIF", picture()),
    "bmp": encoded("BMP", picture()),
    "jp2": encoded("JPEG2000", picture()),
    "ico": encoded("ICO", picture()),
    "pdf": pdf(["fuzz"]),
}


@pytest.mark.parametrize("name", SOURCES)
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_damaged_files_give_pages_or_input_errors(name: str, data: st.DataObject) -> None:
    damaged = bytearray(SOURCES[name])
    for _ in range(data.draw(st.integers(0, 12), "flips")):
        damaged[data.draw(st.integers(0, len(damaged) - 1), "at")] = data.draw(st.integers(0, 255), "byte")
    end = data.draw(st.integers(0, len(damaged)), "end") if data.draw(st.booleans(), "cut") else len(damaged)
    limits = Limits(max_pixels=100_000, max_pages=5, pdf_dpi=20)
    try:
        for page in decode_each(bytes(damaged[:end]), limits):
            if isinstance(page, InputError):
                continue
            assert page.image is not None and page.image.dtype == np.uint8
            assert page.image.shape == (page.height, page.width, 3)
            assert page.width * page.height <= limits.max_pixels
    except InputError as error:
        assert error.kind and error.message
