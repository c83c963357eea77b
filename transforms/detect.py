"""Detection: pages with an image in, pages with the polygons of their lines out."""

from __future__ import annotations

import apache_beam as beam

from models.reader import ReadOptions, detector
from transforms.handler import DEFAULTS, PageModelHandler


class Detect(beam.PTransform):
    """Finds the lines of text on each page.

    Args:
        bundle: a built-in bundle's name, or the path or URI of a folder.
        options: `detection_limit`, `box_threshold` and `unclip_ratio` are used here.
        batch_size: pages in a batch. The detector takes images of any size, one at a time: a larger batch
            only holds more images in memory.
        private_hosts: whether a bundle on https:// may lie on a host that is not public.
    """

    def __init__(
        self,
        bundle: str,
        options: ReadOptions = DEFAULTS,
        batch_size: int = 1,
        private_hosts: bool = False,
    ) -> None:
        super().__init__()
        self._handler = PageModelHandler("detect", detector, bundle, options, batch_size, private_hosts)

    def expand(self, pages: beam.pvalue.PCollection) -> beam.pvalue.PCollection:
        """Applies the stage to pages and failures."""
        return pages | self._handler.infer()
