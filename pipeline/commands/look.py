"""`ppocr-beam look FILE`: the text of one file, and a picture of it, before a million are read."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import replace

from models.options import ReadOptions
from models.records import InputError, Page, UsageError
from pipeline.commands.running import run
from pipeline.options import add_reading, read_options
from transforms import storage
from transforms.bundles import open_bundle


def main(argv: Sequence[str] | None = None) -> int:
    """Prints what the file named says; returns the exit status."""
    return run("look", _add, _look, argv)


def _add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="an image or a document: a path or a URI")
    parser.add_argument("--page", type=int, metavar="N", help="only this one of its pages, from 0 on")
    parser.add_argument(
        "--picture", metavar="PICTURE",
        help="draw the first page that is read, with its lines and their texts, into this file (.png, .jpg)",
    )  # fmt: skip
    add_reading(parser)


def _look(args: argparse.Namespace) -> None:
    options = read_options(args)
    data = storage.read(args.file).data
    try:
        for count, page in enumerate(read(data, args.bundle, options, args.page)):
            print(told_page(args.file, page), flush=True)
            if args.picture is not None and count == 0:
                _draw(args.picture, page, data, options)
    except InputError as error:
        raise InputError(error.kind, f"{args.file}: {error.message}") from error


def read(data: bytes, bundle: str, options: ReadOptions, number: int | None = None) -> Iterator[Page]:
    """Reads the pages of an encoded image or document, one after the other, as the job does.

    Args:
        data: of the file.
        bundle: name, folder or URI.
        options: what to read and how.
        number: of the only page to read; None: all.

    Raises:
        InputError: the file cannot be decoded.
        UsageError: the bundle cannot be used, or there is no such page.
    """
    from models.decoding import decode  # --help does without OpenCV
    from models.reader import Reader

    opened = open_bundle(bundle, check=True, second=options.second)
    settled = replace(options, second=None).settled(opened.manifest)
    reader, found = Reader(opened, settled), False
    for page in decode(data, options.limits, opened.manifest.one_channel):
        if number in (None, page.index):
            found = True
            yield reader.read_page(page)
    if not found:
        raise UsageError(f"the file has no page {number}: they are counted from 0 on")


def told_page(file: str, page: Page) -> str:
    """A page's name, what is wrong with it, and its lines as they are read."""
    from models.annotate import told

    damage = f" {page.damage}" if page.damage else ""
    lines = [told(i, line) for i, line in enumerate(page.lines, 1)] or ["No text."]
    return "\n".join([f"{file}, page {page.index}:{damage}", *lines])


def _draw(picture: str, page: Page, data: bytes, options: ReadOptions) -> None:
    """Draws a page over its pixels, which are decoded again: in colour, and though its text was in its file.

    Raises:
        OSError: the picture cannot be written.
        UsageError: its name tells no format.
    """
    from models.annotate import save
    from models.decoding import decode

    limits = replace(options.limits, pdf_text="ignore")
    pixels = next(each.image for each in decode(data, limits) if each.index == page.index)
    assert pixels is not None  # only text from PDFs has none
    save(picture, page, pixels)
    print(f"Picture:  {picture}; orange lines want a second look", flush=True)
