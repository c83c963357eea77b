from __future__ import annotations

from dataclasses import replace

import apache_beam as beam
import numpy as np
import pytest

from models.records import Failure, Line, Page
from transforms.elements import Element, ElementCoder, byte_size

IMAGE = np.zeros((50, 40, 3), np.uint8)
LINE = Line(np.zeros((4, 2), np.float32), 0.9, crop=np.zeros((10, 20, 3), np.uint8))


@pytest.mark.parametrize(
    ("element", "pixels"),
    [
        pytest.param(Failure("a", None, "read", "not_found", "gone"), 0, id="failure"),
        pytest.param(Page("a"), 0, id="empty page"),
        pytest.param(Page("a", image=IMAGE), 6000, id="image"),
        pytest.param(Page("a", lines=(LINE, LINE)), 1200, id="crops"),
        pytest.param(Page("a", image=IMAGE, lines=(LINE, replace(LINE, crop=None))), 6600, id="both"),
    ],
)
def test_size_is_that_of_the_pixels_and_a_little(element: Page | Failure, pixels: int) -> None:
    assert pixels <= byte_size(element) <= pixels + 500
    assert ElementCoder().estimate_size(element) == byte_size(element)


def test_coder_gives_back_what_it_was_given() -> None:
    page = Page("a", 3, image=np.arange(60, dtype=np.uint8).reshape(4, 5, 3), lines=(LINE,))
    coder = ElementCoder()
    back = coder.decode(coder.encode(page))
    assert (back.uri, back.index) == ("a", 3)
    np.testing.assert_array_equal(back.image, page.image)
    np.testing.assert_array_equal(back.lines[0].crop, LINE.crop)


def test_pages_and_failures_are_elements_and_nothing_else_is() -> None:
    assert isinstance(Page(), Element)
    assert isinstance(Failure("a", 0, "read", "k", "m"), Element)
    assert not isinstance(LINE, Element)


def test_beam_finds_the_coder_for_elements() -> None:
    assert isinstance(beam.coders.registry.get_coder(Element), ElementCoder)
    assert not ElementCoder().is_deterministic()
    assert ElementCoder().to_type_hint() is Element
