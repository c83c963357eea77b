"""Rectification: each line is cut out of its page and made straight."""

from __future__ import annotations

from collections.abc import Iterator

import apache_beam as beam

from models.reader import rectifier
from transforms import metrics
from transforms.bundles import open_bundle
from transforms.elements import Element, PageOrFailure
from transforms.handler import run_isolated

STAGE = "rectify"


class Rectify(beam.PTransform):
    """Fills the lines' crops and drops the page's image, unless there is a second recogniser.

    Args:
        bundle: says what its models want of a crop; a built-in bundle's name, or the path or URI of a folder.
        private_hosts: whether a bundle on https:// may lie on a host that is not public.
        second: the bundle whose recogniser is asked second, where that is not in the bundle.
    """

    def __init__(self, bundle: str, private_hosts: bool = False, second: str | None = None) -> None:
        super().__init__()
        self._work = _Rectify(bundle, private_hosts, second)

    def expand(self, pages: beam.pvalue.PCollection) -> beam.pvalue.PCollection:
        """Applies the stage to pages and failures."""
        return pages | beam.ParDo(self._work).with_output_types(Element)


class _Rectify(beam.DoFn):
    def __init__(self, bundle: str, private_hosts: bool, second: str | None) -> None:
        self._bundle = bundle
        self._private_hosts = private_hosts
        self._second = second

    def setup(self) -> None:
        bundle = open_bundle(self._bundle, private_hosts=self._private_hosts, second=self._second)
        self._rectify = rectifier(bundle)

    def process(self, element: PageOrFailure) -> Iterator[PageOrFailure]:
        with metrics.timed(STAGE):
            results = run_isolated(STAGE, self._rectify, [element])
        yield from results
