"""Labelled lines and pages in the job's own records, labels in the place of what would be read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import numpy as np

from models.bundle import RecognitionSpec
from models.geometry import rectify
from models.records import Line, Page, UsageError
from training.data.crops import quad_of, read_image
from training.data.labels import LabelledImage, images_of

T = TypeVar("T")


def labelled_images(path: Path) -> tuple[LabelledImage, ...]:
    """The images of a label file.

    Raises:
        UsageError: it holds none that is there.
    """
    images = images_of(path)
    if not images:
        raise UsageError(f"{path} names no image that is there: ppocr-train data check says why")
    return images


def holds_pages(images: Iterable[LabelledImage]) -> bool:
    """Whether lines are marked by polygons; else each image is a line."""
    return any(region.polygon for image in images for region in image.regions)


def labelled_page(labelled: LabelledImage) -> Page:
    """A page with its image and its labelled lines, those that nobody need read left out.

    Raises:
        UsageError: the image cannot be decoded.
    """
    try:
        image = read_image(labelled.path)
    except ValueError as error:
        raise UsageError(str(error)) from None
    regions = [region for region in labelled.regions if not region.ignored and len(region.polygon) >= 4]
    lines = tuple(Line(quad_of(region.polygon), 1.0, text=region.text) for region in regions)
    return Page(uri=str(labelled.path), width=image.shape[1], height=image.shape[0], image=image, lines=lines)


def scanned_upside_down(page: Page) -> Page:
    """The page with its image and its lines as a scanner gives it that was fed the wrong way round.

    Lines begin at what is their top left then, as a detector's do.
    """
    assert page.image is not None  # for the type checker: a labelled page has one
    corner = np.array([page.width, page.height], np.float32)
    lines = [replace(line, polygon=np.roll(corner - line.polygon, -2, axis=0)) for line in page.lines]
    return replace(page, image=np.ascontiguousarray(page.image[::-1, ::-1]), lines=tuple(lines))


def labelled_lines(
    images: Iterable[LabelledImage], spec: RecognitionSpec | None = None, turned: bool = False
) -> Iterator[Line]:
    """Lines with their crops and labels: whole images, or what is cut out of pages as the job would.

    Args:
        images: of one label file.
        spec: how the recogniser wants lines to be cut out; None: as they are.
        turned: whether all images shall be upside down.

    Raises:
        UsageError: an image cannot be decoded.
    """
    margin, least_height = (spec.margin, spec.least_height) if spec else (0.0, 0)
    for labelled in images:
        page = labelled_page(labelled)
        if turned:  # not its crops: cutting out moves a low line by parts of a pixel
            page = scanned_upside_down(page)
        if holds_pages([labelled]):
            yield from rectify(page, margin, least_height=least_height).lines
        else:
            yield from whole_lines(page, [region.text for region in labelled.regions])


def whole_lines(page: Page, texts: Sequence[str]) -> Iterator[Line]:
    """A line image as a line, once for each label."""
    corners = [[0, 0], [page.width, 0], [page.width, page.height], [0, page.height]]
    for text in texts:
        yield Line(quad_of(tuple((float(x), float(y)) for x, y in corners)), 1.0, crop=page.image, text=text)


def spread(items: Sequence[T], count: int) -> list[T]:
    """At most `count` items, evenly spread over all."""
    step = max(1, -(-len(items) // max(count, 1)))
    return list(items[::step])
