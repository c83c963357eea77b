from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from models.decoding import pixels
from models.decoding.pixels import squared_size, to_bgr

SIZES = [(1, 1), (33, 1), (1, 40), (7, 7), (15, 8), (64, 41)]

MOST_BYTES = 12
"""A pixel, while a page is decoded: what `Limits` says, and a little for what else a process does."""


def blended(image: Image.Image, ground: int = 255) -> np.ndarray:
    """Alpha over a ground, in whole numbers, all of the image at once."""
    rgba = np.asarray(image.convert("RGBA")).astype(np.int64)
    alpha = rgba[..., 3:]
    return (rgba[..., 2::-1] * alpha + ground * (255 - alpha) + 127) // 255


def scaled(image: Image.Image) -> np.ndarray:
    """Grey values to 0 to 255 by one scale, all of the image at once."""
    values = np.asarray(image)
    finite = np.where(np.isfinite(values), values, 0).astype(np.float32)
    low, high = float(finite.min()), float(finite.max())
    tops = (255.0, 4095.0, 65535.0) if np.issubdtype(values.dtype, np.integer) else (1.0, 255.0)
    fitting = [top for top in tops if low >= 0 and high <= top]
    if not fitting:
        finite, fitting = finite - low, [high - low]
    gray = np.rint(finite * (255.0 / max(fitting[0], 1e-30))).clip(0, 255).astype(np.uint8)
    return gray[..., None].repeat(3, -1)


def see_through(size: tuple[int, int]) -> Iterator[Image.Image]:
    dice = np.random.default_rng(size)

    def noise(channels: int) -> np.ndarray:
        return dice.integers(0, 256, (size[1], size[0], channels), np.uint8)

    rgba = Image.fromarray(noise(4))
    for image in (rgba, rgba.convert("LA"), rgba.convert("RGBa"), rgba.convert("LA").convert("PA")):
        yield image
    opaque = rgba.copy()
    opaque.putalpha(255)
    yield opaque
    yield Image.merge("RGBA", [*opaque.split()[:3], Image.fromarray(noise(1)[..., 0] // 128 * 255)])
    palette = Image.fromarray(noise(1)[..., 0], "P")
    palette.putpalette(dice.bytes(768))
    for image, transparency in (
        (palette, 3),
        (palette, dice.bytes(256)),
        (palette, dice.bytes(9)),
        (rgba.convert("L"), 7),
        (rgba.convert("RGB"), (1, 2, 3)),
        (rgba.convert("1"), 0),
    ):
        yield Image.open(io.BytesIO(png(image, transparency)))
        loaded = Image.open(io.BytesIO(png(image, transparency)))
        loaded.load()
        yield loaded
    palette = palette.copy()
    palette.putpalette(dice.bytes(1024), "RGBA")
    yield palette


def png(image: Image.Image, transparency: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", transparency=transparency)
    return buffer.getvalue()


def deep(size: tuple[int, int]) -> Iterator[Image.Image]:
    dice, shape = np.random.default_rng(size), size[::-1]
    for top in (200, 256, 4096, 65536):
        yield Image.fromarray(dice.integers(0, top, shape, np.uint16))
    yield Image.frombytes("I;16B", size, dice.bytes(2 * size[0] * size[1]))
    for low, high in ((-(1 << 31), (1 << 31) - 1), (-9, 200), (0, 1 << 20), (-50, -7)):
        yield Image.fromarray(dice.integers(low, high, shape, np.int32))
    for value in (0, 300, 65535):
        yield Image.fromarray(np.full(shape, value, np.uint16))
    for value in (-5, 1 << 30):
        yield Image.fromarray(np.full(shape, value, np.int32))
    unit = dice.random(shape, np.float32)
    holes = np.where(unit < 0.2, np.float32(np.nan), np.where(unit > 0.9, np.float32(np.inf), unit))
    for values in (unit, unit * 255, unit * 999 - 400, holes, holes * 300):
        yield Image.fromarray(values.astype(np.float32))


@pytest.fixture(params=[7, pixels._TILE], ids=["small tiles", "one tile"])
def tile(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pixels, "_TILE", request.param)


@pytest.mark.usefixtures("tile")
@pytest.mark.parametrize("size", SIZES, ids=str)
class TestTiles:
    """What is converted tile by tile is what all of the image at once would give, to the bit."""

    def test_of_transparent_images(self, size: tuple[int, int]) -> None:
        for image in see_through(size):
            assert image.has_transparency_data or image.mode == "RGBa"
            found = to_bgr(image)
            assert any((found == blended(image, ground)).all() for ground in (0, 255)), image

    def test_of_deep_images(self, size: tuple[int, int]) -> None:
        for image in deep(size):
            found = to_bgr(image)
            assert found.dtype == np.uint8
            assert (found == scaled(image)).all(), image

    @pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "CMYK", "YCbCr", "HSV"])
    def test_of_other_images(self, size: tuple[int, int], mode: str) -> None:
        noise = np.random.default_rng(size).integers(0, 256, (size[1], size[0], 3), np.uint8)
        image = Image.fromarray(noise, "HSV") if mode == "HSV" else Image.fromarray(noise).convert(mode)
        assert (to_bgr(image) == np.asarray(image.convert("RGB"))[..., ::-1]).all()


class TestGround:
    """What is seen through is laid over what its edges stand out from."""

    @staticmethod
    def letters(ink: tuple[int, int, int], opacity: int = 255) -> Image.Image:
        """Strokes of an ink on nothing, in two tiles."""
        image = Image.new("RGBA", (pixels._TILE + 100, 60), (*ink, 0))
        for x in range(10, image.width, 20):
            image.paste((*ink, opacity), (x, 10, x + 6, 50))
        return image

    @pytest.mark.parametrize("opacity", [255, 130])
    @pytest.mark.parametrize(
        ("ink", "ground"),
        [((255, 255, 255), 0), ((255, 240, 90), 0), ((0, 0, 0), 255), ((200, 0, 0), 255), ((140,) * 3, 255)],
    )
    def test_of_letters(self, ink: tuple[int, int, int], ground: int, opacity: int) -> None:
        image = self.letters(ink, opacity)
        assert (to_bgr(image) == blended(image, ground)).all()

    @pytest.mark.parametrize("ground", [0, 255])
    def test_every_colour_and_opacity_is_blended_to_the_nearest(self, ground: int) -> None:
        opacity, color = np.meshgrid(*[np.arange(256, dtype=np.uint8)] * 2)
        rgba = np.dstack([color, color[::-1], color.T, opacity])
        assert (pixels._over(rgba, ground) == blended(Image.fromarray(rgba), ground)).all()

    def test_of_light_letters_beside_a_dark_picture(self) -> None:
        image = self.letters((255, 255, 255))
        image.paste((20, 30, 40, 255), (0, 0, 150, 60))
        assert (to_bgr(image) == blended(image, 0)).all()

    def test_of_print_on_paper_that_was_cut_out(self) -> None:
        image = Image.new("RGBA", (200, 100), (0, 0, 0, 0))
        image.paste((250, 250, 250, 255), (20, 20, 180, 80))
        image.paste((10, 10, 10, 255), (40, 40, 160, 50))
        found = to_bgr(image)
        assert (found[25, 100] == 250).all() and (found[45, 100] == 10).all()

    def test_of_colours_that_nobody_sees(self) -> None:
        assert (to_bgr(Image.new("RGBA", (30, 30), (255, 255, 255, 0))) == 255).all()


class TestSquare:
    @pytest.mark.parametrize(
        ("density", "size"),
        [
            ((204, 98), (100, 104)),
            ((98, 204), (208, 50)),
            ((204, 391), (192, 50)),
            ((204, 196), (100, 50)),
            ((1, 1), (100, 50)),
            ((300, 1), (100, 50)),
            ((0, 72), (100, 50)),
            ((72, -1), (100, 50)),
            ((float("nan"), 72), (100, 50)),
        ],
    )
    def test_the_coarser_side_grows(self, density: tuple[float, float], size: tuple[int, int]) -> None:
        assert squared_size(100, 50, density) == size


def test_a_page_of_several_tiles() -> None:
    rgba = Image.fromarray(
        np.random.default_rng(0).integers(0, 256, (pixels._TILE + 5, 2 * pixels._TILE + 1, 4), np.uint8)
    )
    assert any((to_bgr(rgba) == blended(rgba, ground)).all() for ground in (0, 255))


GROWTH = """
import re, sys
from pathlib import Path
from models.decoding import decode

def peak():
    return 1024 * int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])

small, *pages = [Path(name).read_bytes() for name in sys.argv[1:]]
list(decode(small))
before = peak()
for data in pages:
    (page,) = decode(data)
    area = page.width * page.height
    del page
    print((peak() - before) / area)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_memory_stays_bounded(tmp_path: Path) -> None:
    # In a process of its own: the peak of this one has been anywhere already.
    size = (2000, 2000)
    ramp = np.arange(size[0] * size[1]).reshape(size[::-1])
    images = {
        "16 bit": Image.fromarray((ramp % 65521).astype(np.uint16)),
        "palette": Image.new("P", size, 1),
        "int": Image.fromarray(ramp.astype(np.int32) - 5),
        "float": Image.fromarray(ramp.astype(np.float32)),
        "grey, alpha": Image.new("LA", size, (9, 99)),
        "alpha": Image.new("RGBA", size, (1, 2, 3, 99)),
        "cmyk": Image.new("CMYK", size, (1, 2, 3, 99)),
        "rgb": Image.new("RGB", size, (1, 2, 3)),
    }
    files = [tmp_path / "small"]
    Image.new("LA", (9, 9)).save(files[0], "PNG")
    for name, image in images.items():
        files.append(tmp_path / name)
        if image.mode in ("I", "F", "CMYK"):
            image.save(files[-1], "TIFF", compression="packbits")
        else:
            image.save(
                files[-1], "PNG", compress_level=1, **({"transparency": 1} if image.mode == "P" else {})
            )
    ended = subprocess.run([sys.executable, "-c", GROWTH, *files], capture_output=True, text=True, check=True)
    growth = dict(zip(images, map(float, ended.stdout.split()), strict=True))
    assert all(bytes_a_pixel < MOST_BYTES for bytes_a_pixel in growth.values()), growth
