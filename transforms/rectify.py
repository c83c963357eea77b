"""Rectification: each line is cut out of its page and made straight."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import apache_beam as beam

from models.geometry import rectify
from models.records import Page
from transforms import metrics
from transforms.bundles import open_bundle
from transforms.elements import Element, PageOrFailure
from transforms.handler import run_isolated

STAGE = "rectify"


class Rectify(beam.PTransform):
    """Fills the lines' crops and drops the page's image.

    Args:
        bundle: says how much air its recogniser wants around a line; a built-in bundle's name, or the path or
            URI of a folder.
    """

    def __init__(self, bundle: str) -> None:
        super().__init__()
        self._bundle = bundle

    def expand(self, pages: beam.pvalue.PCollection) -> beam.pvalue.PCollection:
        """Applies the stage to pages and failures."""
        return pages | beam.ParDo(_Rectify(self._bundle)).with_output_types(Element)


class _Rectify(beam.DoFn):
    def __init__(self, bundle: str) -> None:
        self._bundle = bundle

    def setup(self) -> None:
        self._margin = open_bundle(self._bundle).manifest.recognition.margin

    def process(self, element: PageOrFailure) -> Iterator[PageOrFailure]:
        with metrics.timed(STAGE):
            results = run_isolated(STAGE, self._rectify, [element])
        yield from results

    def _rectify(self, pages: Sequence[Page]) -> list[Page]:
        return [rectify(page, self._margin) for page in pages]
