"""Rectification: each line is cut out of its page and made straight."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import apache_beam as beam

from models.geometry import rectify
from models.records import Page
from transforms import metrics
from transforms.elements import Element, PageOrFailure
from transforms.handler import run_isolated

STAGE = "rectify"


class Rectify(beam.PTransform):
    """Fills the lines' crops and drops the page's image."""

    def expand(self, pages: beam.PCollection) -> beam.PCollection:
        """Applies the stage to pages and failures."""
        return pages | beam.ParDo(_Rectify()).with_output_types(Element)


class _Rectify(beam.DoFn):
    def process(self, element: PageOrFailure) -> Iterator[PageOrFailure]:
        with metrics.timed(STAGE):
            results = run_isolated(STAGE, _rectify_all, [element])
        yield from results


def _rectify_all(pages: Sequence[Page]) -> list[Page]:
    return [rectify(page) for page in pages]
