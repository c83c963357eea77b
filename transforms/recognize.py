"""Recognition: crops in, texts out; the last stage that needs pixels."""

from __future__ import annotations

import apache_beam as beam

from models.reader import ReadOptions, recognizer
from transforms.handler import DEFAULTS, PageModelHandler


class Recognize(beam.PTransform):
    """Reads the lines of each page, and drops their crops and the lines that are most likely no text.

    Args:
        bundle: a built-in bundle's name, or the path or URI of a folder.
        options: `chars` and `min_confidence` are used here.
        batch_size: pages in a batch, whose lines go through the model together. On CPUs more than one was
            found to save nothing, whether pages have two lines or fifty, and it holds pages back.
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
        self._handler = PageModelHandler("recognize", recognizer, bundle, options, batch_size, private_hosts)

    def expand(self, pages: beam.pvalue.PCollection) -> beam.pvalue.PCollection:
        """Applies the stage to pages and failures."""
        return pages | self._handler.infer()
