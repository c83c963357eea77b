"""Finishing: pages as `models.reader.Reader` gives them, lines in reading order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import apache_beam as beam

from models.reader import finish
from models.records import Page
from transforms import metrics
from transforms.elements import Element, PageOrFailure
from transforms.handler import run_isolated

STAGE = "finish"


class Finish(beam.PTransform):
    """Puts the lines of recognised pages into reading order: pages are finished then, as `ToRows` wants."""

    def expand(self, pages: beam.pvalue.PCollection) -> beam.pvalue.PCollection:
        """Applies the stage to pages and failures."""
        return pages | beam.FlatMap(_finished).with_output_types(Element)


def _finished(element: PageOrFailure) -> Iterator[PageOrFailure]:
    with metrics.timed(STAGE):
        results = run_isolated(STAGE, _finish, [element])
    yield from results


def _finish(pages: Sequence[Page]) -> list[Page]:
    return list(map(finish, pages))
