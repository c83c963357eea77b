"""Direction: lines that stand on their heads are turned."""

from __future__ import annotations

from models.reader import direction_classifier
from transforms.handler import ModelStage


class ClassifyDirection(ModelStage):
    """Finds upside-down lines and turns their crops.

    Args:
        bundle: a built-in bundle's name, or the path or URI of a folder.
        options: `direction` says which lines are asked.
        batch_size: most pages in a batch; their lines go through the model together.
        private_hosts: whether a bundle on https:// may lie on a host that is not public.
    """

    made_by = ("direction", direction_classifier)
