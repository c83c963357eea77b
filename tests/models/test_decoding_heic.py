from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from models.decoding import decode

pillow_heif = pytest.importorskip("pillow_heif", reason="needs the extra [heic]")


def test_heic_is_read() -> None:
    pixels = np.zeros((64, 96, 3), np.uint8)
    pixels[:, 48:] = (255, 128, 0)  # red, green, blue
    encoded = io.BytesIO()
    pillow_heif.from_pillow(Image.fromarray(pixels)).save(encoded, quality=90)
    (page,) = decode(encoded.getvalue())
    assert (page.width, page.height) == (96, 64)
    assert page.image is not None
    np.testing.assert_allclose(page.image[:, :44], 0, atol=40)
    np.testing.assert_allclose(page.image[:, 52:], np.broadcast_to((0, 128, 255), (64, 44, 3)), atol=40)


CORNERS = {1: (0, 0), 2: (0, -1), 3: (-1, -1), 4: (-1, 0), 5: (0, 0), 6: (0, -1), 7: (-1, -1), 8: (-1, 0)}
"""Row and column of the corner in which the top left one of the stored pixels is to be seen."""


def turned(orientation: int) -> bytes:
    """White, with a black top left corner; turned by EXIF and by the container's own boxes, as phones do."""
    pillow_heif.register_heif_opener()
    pixels = np.full((64, 96, 3), 255, np.uint8)
    pixels[:20, :30] = 0
    encoded = io.BytesIO()
    Image.fromarray(pixels).save(encoded, "HEIF", quality=95, exif=exif(orientation))
    return encoded.getvalue()


def exif(orientation: int) -> bytes:
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags.tobytes()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_heic_is_turned_once(orientation: int) -> None:
    data = turned(orientation)
    assert exif(orientation)[6:] in data
    (page,) = decode(data)
    assert (page.width, page.height) == ((64, 96) if orientation >= 5 else (96, 64))
    assert page.image is not None and page.image.shape == (page.height, page.width, 3)
    corners = {corner for corner in ((0, 0), (0, -1), (-1, 0), (-1, -1)) if page.image[corner][0] < 128}
    assert corners == {CORNERS[orientation]}


def test_heic_is_not_turned_by_exif_alone() -> None:
    """ISO/IEC 23008-12: what turns an image are the container's boxes; EXIF only tells of the camera."""
    data = turned(1).replace(exif(1)[6:], exif(6)[6:])
    assert b"irot" not in data and exif(6)[6:] in data
    (page,) = decode(data)
    assert (page.width, page.height) == (96, 64)
    assert page.image is not None and page.image[0, 0, 0] < 128
