"""The stages of the job as Beam transforms, each usable in anybody's pipeline.

from transforms import ReadPages, Detect, Rectify, ClassifyDirection, Recognize, Reread
from transforms import Finish, ToRows, WriteRows
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transforms.detect import Detect as Detect
    from transforms.direction import ClassifyDirection as ClassifyDirection
    from transforms.elements import PageOrFailure as PageOrFailure
    from transforms.finish import Finish as Finish
    from transforms.read import ReadPages as ReadPages
    from transforms.recognize import Recognize as Recognize
    from transforms.rectify import Rectify as Rectify
    from transforms.reread import Reread as Reread
    from transforms.rows import Rows as Rows
    from transforms.rows import ToRows as ToRows
    from transforms.write import WriteRows as WriteRows

_HOMES = {
    "ClassifyDirection": "transforms.direction",
    "Detect": "transforms.detect",
    "Finish": "transforms.finish",
    "PageOrFailure": "transforms.elements",
    "ReadPages": "transforms.read",
    "Recognize": "transforms.recognize",
    "Rectify": "transforms.rectify",
    "Reread": "transforms.reread",
    "Rows": "transforms.rows",
    "ToRows": "transforms.rows",
    "WriteRows": "transforms.write",
}
__all__ = list(_HOMES)


# The job lists its inputs through transforms.storage before it knows whether it will run: importing Beam,
# which takes seconds, waits until a transform is asked for.
def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
