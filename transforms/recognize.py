"""Recognition: crops in, texts out; the last stage that needs pixels."""

from __future__ import annotations

from models.reader import recognizer
from transforms.handler import ModelStage


class Recognize(ModelStage):
    """Reads the lines of each page, and drops their crops and the lines that are most likely no text.

    Args:
        bundle: a built-in bundle's name, or the path or URI of a folder.
        options: `chars`, `words`, `min_confidence`, `cell_gap` and `review_threshold` are used here.
        batch_size: most pages in a batch. Lines of all of them that are as wide go through the model
            together: fewer calls, and fuller ones.
        private_hosts: whether a bundle on https:// may lie on a host that is not public.
    """

    made_by = ("recognize", recognizer)
