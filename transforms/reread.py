"""Rereading: a second recogniser is asked about the lines of which the first is not sure."""

from __future__ import annotations

from models.reader import rereader
from transforms.handler import ModelStage


class Reread(ModelStage):
    """Reads unsure lines again with the bundle's second recogniser, and drops the pages' images.

    Pages of a bundle without one pass by.

    Args:
        bundle: a built-in bundle's name, or the path or URI of a folder.
        options: `second`, `second_below`, `chars`, `words`, `min_confidence` and `review_threshold` are used
            here.
        batch_size: most pages in a batch; their lines go through the model together.
        private_hosts: whether a bundle on https:// may lie on a host that is not public.
    """

    made_by = ("reread", rereader)
