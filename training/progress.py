"""How far something is that takes long: a bar on a terminal, and nothing in a log."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from lightning.pytorch.callbacks import Callback

T = TypeVar("T")


def tracked(items: Iterable[T], what: str, total: int | None = None) -> Iterable[T]:
    """The items, while a bar shows how far it is.

    Args:
        items: to go through.
        what: is done with them.
        total: how many there are, where they cannot tell.
    """
    from rich.console import Console
    from rich.progress import track

    return track(
        items, what, total, console=Console(file=sys.stderr), transient=True, disable=not sys.stderr.isatty()
    )


def training_bars() -> list[Callback]:
    """What shows how far a training is: the same bar on a terminal, else nothing."""
    from lightning.pytorch.callbacks import RichProgressBar

    return [RichProgressBar(refresh_rate=20)] if sys.stderr.isatty() else []
