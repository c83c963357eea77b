"""Reading a page from start to end, with no Beam: `Reader(bundle).read(image)`."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from models.bundle import Bundle, RecognitionSpec, load_bundle, with_second
from models.decoding import decode
from models.detection import Detector
from models.direction import DirectionClassifier
from models.geometry import rectify
from models.language import Language, language_in
from models.options import DEFAULTS
from models.options import ReadOptions as ReadOptions
from models.reading_order import reading_order
from models.recognition import Recognizer
from models.records import Image, Page, UsageError
from models.rereading import Rereader
from models.session import open_session
from models.stacks import join_stacks

PageStage = Callable[[Sequence[Page]], list[Page]]
"""Pages in, as many pages out, in the same order."""


def _on_images(stage: PageStage) -> PageStage:
    """The stage for pages with an image; those whose lines were in their file pass by."""

    def work(pages: Sequence[Page]) -> list[Page]:
        images = [page for page in pages if page.text_from == "image"]
        done = iter(stage(images) if images else ())
        return [next(done) if page.text_from == "image" else page for page in pages]

    return work


def detector(bundle: Bundle, options: ReadOptions) -> PageStage:
    """The bundle's detector."""
    spec = bundle.manifest.detection
    return _on_images(
        Detector(options.detection(spec), open_session(bundle.model_path(spec), options.engine))
    )


def rectifier(bundle: Bundle) -> PageStage:
    """What cuts out lines with as much air and as many channels as the bundle's models want.

    Letters that stand one below the other become one line. Where there is a second recogniser pages keep
    their images, out of which its lines are cut.
    """
    manifest = bundle.manifest
    one_channel = manifest.direction.color == manifest.recognition.color == "gray"
    margin, least_height = manifest.recognition.margin, manifest.recognition.least_height

    def work(page: Page) -> Page:
        image = page.image if manifest.second else None
        return replace(join_stacks(rectify(page, margin, one_channel, least_height)), image=image)

    return _on_images(lambda pages: list(map(work, pages)))


def direction_classifier(bundle: Bundle, options: ReadOptions) -> PageStage:
    """The bundle's direction classifier; what leaves pages as they are where it is off."""
    if options.direction == "off":
        return list
    spec = bundle.manifest.direction
    session = open_session(bundle.model_path(spec), options.engine)
    return _on_images(DirectionClassifier(spec, session, options.direction))


def recognizer(bundle: Bundle, options: ReadOptions) -> PageStage:
    """The bundle's recogniser; where there is a second one, it leaves to that which lines are text."""
    spec = bundle.manifest.recognition
    session = open_session(bundle.model_path(spec), options.engine)
    work = Recognizer(options.recognition(spec), session, options.chars, language_of(bundle, spec))
    return _on_images(work.read_pages if bundle.manifest.second else work)


def rereader(bundle: Bundle, options: ReadOptions) -> PageStage:
    """What asks the bundle's second recogniser; what leaves pages as they are where there is none."""
    manifest, below = bundle.manifest, options.below(bundle.manifest)
    if manifest.second is None or below is None:
        return list
    session = open_session(bundle.model_path(manifest.second), options.engine)
    spec = replace(options.recognition(manifest.second), cell_gap=0.0)
    second = Recognizer(spec, session, options.chars, language_of(bundle, manifest.second))
    return _on_images(Rereader(options.recognition(manifest.recognition), second, below))


def language_of(bundle: Bundle, spec: RecognitionSpec) -> Language | None:
    """The language model that a bundle's recogniser asks, its own or the first one's; None: it asks none.

    Raises:
        UsageError: neither file has one, or it cannot be read.
    """
    if not spec.language_weight:
        return None
    first = bundle.model_path(bundle.manifest.recognition)
    language = language_in(path := bundle.model_path(spec)) or language_in(first)
    if language is None:
        raise UsageError(f"{path} holds no language model; set language_weight to 0")
    return language


def finish(page: Page) -> Page:
    """Orders lines as they are read."""
    order = reading_order([line.polygon for line in page.lines])
    return replace(page, image=None, lines=tuple(page.lines[i] for i in order))


def _is_picture(given: object) -> bool:
    if not isinstance(given, np.ndarray) or given.dtype != np.uint8:
        return False
    return given.ndim in (2, 3) and given.shape[2:] in ((), (3,))


def _named(given: object) -> str:
    """What was given, in a few words for an error."""
    if isinstance(given, np.ndarray):
        return f"a {given.dtype} array {given.shape}"
    return repr(given) if isinstance(given, str | os.PathLike) else type(given).__name__


class Reader:
    """Reads pages with a bundle, in this process.

    Args:
        bundle: from `load_bundle`.
        options: what to read and how.

    Raises:
        UsageError: the bundle's models, or its second recogniser, cannot be used.
    """

    def __init__(self, bundle: Bundle, options: ReadOptions = DEFAULTS) -> None:
        self.options = options
        if options.second is not None:
            bundle = with_second(bundle, load_bundle(options.second))
        self._one_channel = bundle.manifest.one_channel
        self._stages = (
            detector(bundle, options),
            rectifier(bundle),
            direction_classifier(bundle, options),
            recognizer(bundle, options),
            rereader(bundle, options),
        )

    def read(self, image: Image) -> Page:
        """Reads one upright page.

        Args:
            image: uint8, (H, W, 3), channels blue, green, red.

        Returns:
            The page with its lines in reading order.

        Raises:
            TypeError: that is no such array.
        """
        if not _is_picture(image):
            raise TypeError(
                f"read takes pixels, a uint8 array (H, W, 3), not {_named(image)}: read_file takes a path, "
                "and read_bytes what is in a file"
            )
        return self.read_page(Page(width=image.shape[1], height=image.shape[0], image=image))

    def read_file(self, path: str | os.PathLike[str]) -> Iterator[Page]:
        """Reads every page of a file on this machine.

        Raises:
            InputError: it cannot be decoded.
            OSError: it cannot be read.
        """
        return self.read_bytes(Path(path).read_bytes())

    def read_bytes(self, data: bytes) -> Iterator[Page]:
        """Reads every page of an encoded image or document.

        Raises:
            InputError: the bytes cannot be decoded.
            TypeError: these are no bytes.
        """
        if not isinstance(data, bytes):
            raise TypeError(
                f"read_bytes takes the bytes of a file, not {_named(data)}: read_file takes a path"
            )
        return map(self.read_page, decode(data, self.options.limits, self._one_channel))

    def read_page(self, page: Page) -> Page:
        """Reads one decoded page."""
        pages = [page]
        for stage in self._stages:
            pages = stage(pages)
        return finish(pages[0])
