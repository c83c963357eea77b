"""Direction: lines that stand on their heads are turned."""

from __future__ import annotations

import apache_beam as beam

from models.reader import ReadOptions, direction_classifier
from transforms.handler import DEFAULTS, PageModelHandler


class ClassifyDirection(beam.PTransform):
    """Finds upside-down lines and turns their crops.

    Args:
        bundle: a built-in bundle's name, or the path or URI of a folder.
        options: `direction` says which lines are asked.
        batch_size: pages in a batch; their lines go through the model together.
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
        self._handler = PageModelHandler(
            "direction", direction_classifier, bundle, options, batch_size, private_hosts
        )

    def expand(self, pages: beam.pvalue.PCollection) -> beam.pvalue.PCollection:
        """Applies the stage to pages and failures."""
        return pages | self._handler.infer()
