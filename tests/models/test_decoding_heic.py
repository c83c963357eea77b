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
