from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from models.decoding import decode
from training.data.crops import crop_line, quad_of, read_image

IMAGE = np.arange(60 * 80, dtype=np.int64).reshape(60, 80, 1).repeat(3, 2).astype(np.uint8)


def test_an_upright_quad_is_a_slice() -> None:
    quad = np.float32([[10, 20], [40, 20], [40, 35], [10, 35]])
    crop, border = crop_line(IMAGE, quad)
    assert border == 0
    np.testing.assert_array_equal(crop, IMAGE[20:35, 10:40])


def test_a_margin_keeps_what_is_around() -> None:
    quad = np.float32([[10, 20], [40, 20], [40, 36], [10, 36]])
    crop, border = crop_line(IMAGE, quad, margin=0.25)
    assert border == 4
    np.testing.assert_array_equal(crop, IMAGE[16:40, 6:44])


def test_a_tall_line_is_shrunk() -> None:
    quad = np.float32([[0, 0], [80, 0], [80, 60], [0, 60]])
    assert crop_line(IMAGE, quad, max_height=30)[0].shape == (30, 40, 3)


def test_a_turned_quad_is_brought_upright() -> None:
    quad = np.float32([[40, 20], [40, 50], [30, 50], [30, 20]])  # reads downwards, from the pixel at (40, 20)
    crop, _ = crop_line(IMAGE, quad)
    np.testing.assert_array_equal(crop, np.rot90(IMAGE[20:50, 31:41]))


def test_a_polygon_becomes_its_smallest_rectangle_from_the_same_corner() -> None:
    polygon = ((0.0, 0.0), (10.0, 0.0), (20.0, 0.0), (20.0, 6.0), (10.0, 6.0), (0.0, 6.0))
    np.testing.assert_allclose(quad_of(polygon), [[0, 0], [20, 0], [20, 6], [0, 6]], atol=1e-3)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_an_image_is_turned_as_the_job_turns_it(kind: str, orientation: int, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"WEBP": {"lossless": True}}.get(kind, {})
    path = tmp_path / "photo"
    pixels = cv2.merge([np.tile(np.arange(40, dtype=np.uint8) * 4, (24, 1))] * 3)
    pixels[:12, :, 0] //= 2
    Image.fromarray(pixels).save(path, kind, exif=exif, **options)
    (page,) = decode(path.read_bytes())
    np.testing.assert_array_equal(read_image(path), page.image)


def test_what_is_no_image_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "x.jpg").write_bytes(b"")
    with pytest.raises(ValueError, match="x.jpg"):
        read_image(tmp_path / "x.jpg")
