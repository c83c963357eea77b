from __future__ import annotations

import io
import os
import re
import struct
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from models.decoding import Limits, decode, decode_each, raster
from models.decoding.pdf import pages as pdf_pages
from models.decoding.pixels import to_8_bit, upright
from models.decoding.words import Words, listening
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

    def test_of_a_damaged_jpeg(self) -> None:
        data = encoded("JPEG", corpus.page((200, 400)), quality=95)
        (page,) = decode(data[: len(data) // 2], one_channel=True)
        assert page.image is not None and page.image.shape == (400, 200)
        assert page.damage


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


def noise(size: tuple[int, int] = (200, 600)) -> Image.Image:
    """What fills each row with as many bytes as the others."""
    return Image.fromarray(np.random.default_rng(1).integers(0, 255, (size[1], size[0], 3), np.uint8))


def same_rows(page: Page, whole: Page) -> int:
    """How many rows from the top on are those of another page."""
    assert page.image is not None and whole.image is not None
    others = (page.image != whole.image).reshape(len(page.image), -1).any(1)
    return int(others.argmax()) if others.any() else len(others)


class TestTruncation:
    """What is there is read, and the page says that it is not all."""

    @pytest.mark.parametrize("progressive", [False, True])
    @pytest.mark.parametrize("mode", ["RGB", "L"])
    @pytest.mark.parametrize("margin", [0, 400])
    def test_a_jpeg_without_its_end_mark_is_whole(self, margin: int, mode: str, progressive: bool) -> None:
        image = noise()
        image.paste("white", (0, 600 - margin, 200, 600))
        data = encoded("JPEG", image.convert(mode), progressive=progressive)
        page = one(data[:-2])
        assert page.damage is None
        assert same_rows(page, one(data)) == 600

    @pytest.mark.parametrize("mode", ["RGB", "CMYK"])
    @pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.97])
    def test_of_a_cut_jpeg_the_first_rows_are_read(self, share: float, mode: str) -> None:
        data = encoded("JPEG", noise().convert(mode))
        page = one(data[: int(len(data) * share)])
        assert page.damage
        assert same_rows(page, one(data)) == pytest.approx(600 * share, abs=24)

    def test_an_end_mark_makes_no_cut_jpeg_whole(self) -> None:
        data = encoded("JPEG", noise())
        page = one(data[: len(data) // 2] + b"\xff\xd9")
        assert page.damage and "premature end" in page.damage
        assert same_rows(page, one(data)) == pytest.approx(300, abs=24)

    def test_a_hole_in_a_jpeg_is_told(self) -> None:
        data = encoded("JPEG", noise())
        half = len(data) // 2
        assert one(data[:half] + bytes(5000) + data[half + 5000 :]).damage

    @pytest.mark.parametrize("share", [0.5, 0.9])
    def test_a_progressive_jpeg_is_coarse(self, share: float) -> None:
        data = encoded("JPEG", corpus.page(), progressive=True)
        page, whole = one(data[: int(len(data) * share)]), one(data)
        assert page.damage
        assert whole.image is not None and difference(page, whole.image) < 12

    def test_a_progressive_jpeg_without_its_last_scans_is_told(self) -> None:
        data = encoded("JPEG", corpus.page(), progressive=True)
        page = one(data[: data.rindex(b"\xff\xda")])
        assert page.damage and "last scan" in page.damage

    @pytest.mark.parametrize("extra", [b"\0" * 7, b"\x12\x34"])
    def test_a_few_bytes_before_the_end_mark_are_no_damage(self, extra: bytes) -> None:
        assert one(encoded("JPEG", noise())[:-2] + extra + b"\xff\xd9").damage is None

    def test_nothing_left_is_an_error(self) -> None:
        data = encoded("JPEG", noise())
        error = error_of(data[: len(data) // 50])
        assert error.kind == "truncated"
        assert "Nothing of the page is left" in error.message

    @pytest.mark.parametrize("trailer", [b"", b"\0\0\n"])
    def test_a_whole_jpeg_is_decoded_once(self, trailer: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
        data = encoded("JPEG", Image.new("RGB", SIZE, "white")) + trailer
        monkeypatch.setattr(raster, "to_bgr", None)
        page = one(data)
        assert page.image is not None and page.damage is None

    def test_a_thumbnails_end_is_not_the_files(self) -> None:
        data = encoded("JPEG", noise())
        thumbnail = b"\xff\xe1\x00\x06\xff\xd8\xff\xd9"
        assert one(data[:2] + thumbnail + data[2 : len(data) // 2]).damage

    def test_blank_page(self) -> None:
        page = one(encoded("JPEG", Image.new("RGB", SIZE, "white")))
        assert page.damage is None
        assert difference(page, bgr(Image.new("RGB", SIZE, "white"))) == 0

    LOSSLESS = (
        *(("PNG", {}), ("BMP", {}), ("PPM", {}), ("TGA", {}), ("TIFF", {})),
        *(("TIFF", {"compression": name}) for name in ("tiff_lzw", "tiff_adobe_deflate", "packbits", "zstd")),
    )

    @pytest.mark.parametrize(("kind", "options"), LOSSLESS)
    def test_of_other_formats_the_first_rows_are_read(self, kind: str, options: dict[str, str]) -> None:
        image = noise((300, 600))
        data = encoded(kind, image, **options)
        if kind == "TIFF" and options:  # its table of contents stands at the end
            quarter = len(data) // 4
            data = data[:quarter] + bytes(2 * quarter) + data[3 * quarter :]
        else:
            data = data[: len(data) // 2]
        page = one(data)
        assert page.damage
        assert page.image is not None
        same = (page.image == bgr(image)).reshape(600, -1).all(1)
        if kind in ("BMP", "TGA"):  # which begin at the bottom
            same = same[::-1]
        assert same[:100].all() and not same[-100:].any()

    def test_of_a_gif_the_first_rows_are_read(self) -> None:
        image = noise((300, 600)).quantize(16)
        data = encoded("GIF", image, interlace=False)
        page = one(data[: len(data) // 2])
        assert page.damage and "too early" in page.damage
        assert page.image is not None
        same = (page.image == bgr(image)).reshape(600, -1).all(1)
        assert same[:200].all() and not same[-200:].any()

    @pytest.mark.parametrize("lossless", [False, True])
    @pytest.mark.parametrize("mode", ["RGB", "RGBA"])
    def test_of_a_webp_the_first_rows_are_read(self, mode: str, lossless: bool) -> None:
        data = encoded("WEBP", noise((320, 640)).convert(mode), lossless=lossless)
        page, whole = one(data[: len(data) // 2]), one(data)
        assert page.damage and f"{len(data) // 2:,} of its {len(data):,} bytes" in page.damage
        assert same_rows(page, whole) > 160
        assert error_of(data[: len(data) // 20]).kind == "truncated"

    def test_a_hole_in_a_webp_is_told(self) -> None:
        data = encoded("WEBP", noise((320, 640)))
        half = len(data) // 2
        assert one(data).damage is None
        page = one(data[:half] + bytes(2000) + data[half + 2000 :])
        assert page.damage and "hole" in page.damage

    def test_the_zeros_of_a_blank_webp_are_no_hole(self) -> None:
        image = Image.new("RGB", (3000, 4000), "white")
        data = encoded("WEBP", image, quality=80)
        assert bytes(512) in data
        assert one(data).damage is None

    @pytest.mark.parametrize("compression", ["group3", "group4"])
    def test_a_hole_in_a_fax_is_told(self, compression: str) -> None:
        data = encoded("TIFF", noise((400, 600)).convert("1"), compression=compression)
        assert one(data).damage is None
        half = len(data) // 2
        assert one(data[:half] + bytes(3000) + data[half + 3000 :]).damage

    @pytest.mark.parametrize("compression", [2, 3, 4])
    def test_a_fax_of_more_rows_than_bits_is_an_error(self, compression: int) -> None:
        pairs = (
            (256, 64),
            (257, 8000),
            (258, 1),
            (259, compression),
            (262, 0),
            (273, 8),
            (278, 8000),
            (279, 8),
        )
        tags = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in pairs)
        data = b"II*\0" + struct.pack("<I", 16) + bytes(8) + struct.pack("<H", len(pairs)) + tags + bytes(4)
        assert "8 bytes of pixels cannot hold its 8,000 rows" in error_of(data).message

    def test_of_a_broken_page_nothing_is_filled_in_from_the_one_before(self) -> None:
        pages = [noise((300, 600)), Image.new("RGB", (300, 600), "white"), noise((300, 600))]
        data = encoded("TIFF", pages[0], save_all=True, append_images=pages[1:], compression="packbits")
        with Image.open(io.BytesIO(data)) as image:
            image.seek(2)
            strips = image.tag_v2[273]  # type: ignore[attr-defined]
        half = strips[len(strips) // 2]
        broken = data[:half] + b"\x80" * (strips[-1] - half) + data[strips[-1] :]
        found = list(decode(broken))
        assert [page.damage is None for page in found] == [True, True, False]
        assert found[2].image is not None
        same = (found[2].image == bgr(pages[2])).reshape(600, -1).all(1)
        assert same[:200].all() and (found[2].image[-100:] == 0).all()

    def test_a_tiff_that_lists_too_few_strips_is_told(self) -> None:
        data = encoded("TIFF", noise((300, 600)), compression="raw", tiffinfo={278: 60})
        assert one(data).damage is None
        tags = Image.open(io.BytesIO(data)).tag_v2  # type: ignore[attr-defined]
        assert len(tags[273]) == 10
        for tag in (273, 279):
            entry = struct.pack("<HHI", tag, 4, 10)
            assert data.count(entry) == 1
            data = data.replace(entry, struct.pack("<HHI", tag, 4, 5))
        page = one(data)
        assert page.damage == "The TIFF lists 5 of its 10 strips."


class TestWords:
    """What decoders print is the page's, and nobody else's."""

    def test_decoders_print_nothing(self, capfd: pytest.CaptureFixture[str]) -> None:
        data = encoded("JPEG", noise())
        assert one(data[: len(data) // 2] + b"\xff\xd9").damage
        assert capfd.readouterr().err == ""

    def test_what_others_print_is_passed_on(self, capfd: pytest.CaptureFixture[str]) -> None:
        words = Words()
        with listening(words):
            os.write(2, b"INFO somebody else\nCorrupt JPEG data: bad Huffman code\n")
            os.write(2, b"Fax3Decode1D: Bad code word at line 7 of strip 0 (x 3).\n")
        assert words.damage == "Corrupt JPEG data: bad Huffman code (and 1 more such words)."
        assert capfd.readouterr().err == "INFO somebody else\n"

    @pytest.mark.parametrize(
        "line", ["Corrupt JPEG data: 4 extraneous bytes before marker 0xd9", "[ WARN:0@1.2] global loadsave"]
    )
    def test_some_tell_of_nothing_lost(self, line: str) -> None:
        words = Words()
        with listening(words):
            os.write(2, line.encode() + b"\n")
        assert words.lines == [line] and words.damage is None

    def test_pages_decoded_at_the_same_time_keep_theirs(self) -> None:
        good = encoded("JPEG", noise())
        bad = good[: len(good) // 2] + b"\xff\xd9"
        with ThreadPoolExecutor(4) as pool:
            found = list(pool.map(lambda data: one(data).damage is not None, [good, bad] * 20))
        assert found == [False, True] * 20

    def test_of_an_error_they_are_part(self) -> None:
        data = bytearray(encoded("TIFF", noise(), compression="tiff_lzw"))
        data[8:-2000] = bytes(len(data) - 2008)
        assert re.search("LZWDecode|code not yet in table", error_of(bytes(data)).message)


class TestSquarePixels:
    @pytest.mark.parametrize("unit", [1, 2, 3, None])
    @pytest.mark.parametrize("orientation", [1, 6])
    def test_of_a_tiff(self, orientation: int, unit: int | None) -> None:
        tags: dict[int, object] = {282: 204.0, 283: 98.0, 274: orientation}
        image = picture()
        image.encoderinfo = {}
        page = one(encoded("TIFF", image, tiffinfo=tags | ({296: unit} if unit else {})))
        assert (page.width, page.height) == ((64, 83) if orientation == 1 else (83, 64))
        assert page.image is not None and page.image.shape == (page.height, page.width, 3)
        row, column = (4, 4) if orientation == 1 else (4, -5)
        assert (page.image[row, column] == (0, 0, 255)).all()  # the red corner

    @pytest.mark.parametrize("unit", [0, 1, 2])
    def test_of_a_jpeg(self, unit: int) -> None:
        data = bytearray(encoded("JPEG", picture(), dpi=(98, 196)))
        data[13] = unit
        page = one(bytes(data))
        assert (page.width, page.height) == (128, 40)
        assert page.image is not None and page.image.shape == (40, 128, 3)

    def test_of_a_jpeg_that_is_reduced_and_turned(self) -> None:
        exif = Image.Exif()
        exif[0x0112] = 6
        data = encoded("JPEG", corpus.page((200, 120)), exif=exif, dpi=(100, 200))
        page = one(data, Limits(target_side=100))
        assert (page.width, page.height) == (120, 400)
        assert page.image is not None and page.image.shape == (200, 60, 3)

    def test_not_beyond_the_limits(self) -> None:
        data = encoded("TIFF", corpus.page((200, 100)), dpi=(204, 98))
        assert one(data, Limits(max_pixels=40_000)).height == 100
        assert one(data, Limits(max_pixels=42_000)).height == 208


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
        image = noise((300, 600))
        data = encoded("png", image)
        half = len(data) // 2
        page = one(data[:half] + bytes(half))
        assert page.damage and "checksums" in page.damage
        assert page.image is not None
        same = (page.image == bgr(image)).reshape(600, -1).all(1)
        assert same[:200].all() and not same[-200:].any()

    def test_zeros_in_place_of_nearly_all(self) -> None:
        data = encoded("png")
        assert error_of(data[:100] + bytes(len(data) - 100)).kind in ("corrupt", "truncated")

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
        ("module", "data", "reader", "extra"),
        [
            ("pypdfium2", pdf(["x"]), pdf_pages, "pdf"),  # as the process does that draws
            ("pillow_heif", b"\x00\x00\x00\x18ftypheic" + bytes(20), raster.pages, "heic"),
        ],
    )
    def test_missing_extra(
        self, module: str, data: bytes, reader: Any, extra: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, module, None)
        with pytest.raises(InputError) as caught:
            list(reader(data, Limits(), one_channel=False))
        assert caught.value.kind == "missing_extra"
        assert f"ppocr-beam[{extra}]" in caught.value.message


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
@settings(max_examples=25)
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
