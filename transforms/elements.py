"""What flows between the stages: pages, and failures of pages that went no further."""

from __future__ import annotations

import abc
import pickle

from apache_beam.coders import Coder
from apache_beam.coders.typecoders import registry

from models.records import Failure, Page

PageOrFailure = Page | Failure
"""A failure travels with the pages, untouched by later stages: it needs no path of its own."""


class Element(abc.ABC):  # noqa: B024 - nothing to implement: it only stands for the two
    """`PageOrFailure` as Beam's type hints need it: a class that has a coder of its own."""


Element.register(Page)
Element.register(Failure)


def byte_size(element: PageOrFailure) -> int:
    """Bytes of memory that an element holds, by arithmetic."""
    if isinstance(element, Failure):
        return 200
    pixels = 0 if element.image is None else element.image.nbytes
    return pixels + sum(200 + (0 if line.crop is None else line.crop.nbytes) for line in element.lines)


def text_length(element: PageOrFailure) -> float:
    """How long an element's lines are together, each in heights of its own: what reading them costs."""
    if isinstance(element, Failure):
        return 0.0
    crops = [line.crop for line in element.lines if line.crop is not None]
    return sum(crop.shape[1] / crop.shape[0] for crop in crops)


class ElementCoder(Coder):
    """Pickle, with a size that costs nothing to estimate.

    Beam samples the size of the elements between two steps, fused or not, and a coder that does not know
    better encodes them for that: tens of megabytes of pixels, several times a page for the first of each
    portion of work.
    """

    def encode(self, value: PageOrFailure) -> bytes:
        """The element as bytes."""
        return pickle.dumps(value, pickle.HIGHEST_PROTOCOL)

    def decode(self, encoded: bytes) -> PageOrFailure:
        """The element that `encode` was given."""
        element: PageOrFailure = pickle.loads(encoded)
        return element

    def estimate_size(self, value: PageOrFailure) -> int:
        """See `byte_size`."""
        return byte_size(value)

    def is_deterministic(self) -> bool:
        """Whether equal elements have equal bytes: no, so that they cannot be used as keys."""
        return False

    def to_type_hint(self) -> type:
        """What it codes."""
        return Element


registry.register_coder(Element, ElementCoder)
