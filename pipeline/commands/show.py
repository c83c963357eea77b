"""`ppocr-beam show OUT [FILE] [--page N]`: what was read of a page, and a picture of it."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from models.records import InputError, UsageError
from pipeline.commands.running import add_output, run
from transforms import storage
from transforms.storage import local

LINES = 8
"""Lines of text to print, where no page was asked for."""

PICTURE = "overlay.png"


def main(argv: Sequence[str] | None = None) -> int:
    """Prints what there is to see in the folder named; returns the exit status."""
    return run("show", _add, lambda args: show(args.output, args.file, args.page), argv)


def _add(parser: argparse.ArgumentParser) -> None:
    add_output(parser)
    parser.add_argument(
        "file", nargs="?", metavar="FILE",
        help="whose page: as in the column uri, or the end of it (default: the first that has text)",
    )  # fmt: skip
    parser.add_argument("--page", type=int, metavar="N", help="which of its pages, from 0 on")


def show(folder: str, file: str | None = None, number: int | None = None) -> None:
    """Prints the lines of a page, and draws that page beside the output's rows.

    Args:
        folder: the job's output.
        file: end of the page's `uri`; None: any file.
        number: of the page; None: the first one that has text.

    Raises:
        UsageError: the output has no rows or no such page, or is not on this machine.
    """
    if not storage.is_local(folder):
        raise UsageError(f"{folder} is not on this machine: copy it here, with its images where the rows say")
    # --help does without Parquet and OpenCV
    from models.annotate import save, told
    from pipeline.outputs import find_page, image_of, to_page

    output = Path(local.path_of(folder))
    row = find_page(output, file, number)
    if row is None:
        print("No page with text.")
        return
    page, picture = to_page(row), output / PICTURE
    where = f"{page.uri}, page {page.index}"
    try:
        save(picture, page, image_of(page))
        print(f"Picture:  {picture}, of {where}; what wants a second look is orange")
    except InputError as error:
        print(f"No picture of {where}: {error}")
    shown = page.lines if file is not None or number is not None else page.lines[:LINES]
    print("\n".join(["It says:", *(told(i, line) for i, line in enumerate(shown, 1))]))
