"""Detection: pages with an image in, pages with the polygons of their lines out."""

from __future__ import annotations

from models.reader import detector
from transforms.handler import ModelStage


class Detect(ModelStage):
    """Finds the lines of text on each page.

    Args:
        bundle: a built-in bundle's name, or the path or URI of a folder.
        options: `detection_limit`, `box_threshold` and `unclip_ratio` are used here.
        batch_size: most pages in a batch. The detector takes pages of any size, one at a time and in tiles of
            bounded size: a larger batch only holds more images in memory.
        private_hosts: whether a bundle on https:// may lie on a host that is not public.
    """

    made_by = ("detect", detector)
