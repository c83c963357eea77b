"""`ppocr-train data pdf`: digital PDFs as labelled pages, in PPOCRLabel's format.

Every page is decided by the seed, its document's name and its number: the files are the same for the same
documents.
"""

from __future__ import annotations

import argparse
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from random import Random
from typing import Any

import cv2

from models.decoding.glyphs import LayerError
from models.records import UsageError
from training.commands import positive
from training.data.charset import Charset, read_charset
from training.data.folder import new_folder
from training.data.labels import LabelledImage, Region, write_labels
from training.pdfs.aged import aged
from training.pdfs.page import IGNORED, Drawn, labelled_page
from training.progress import tracked

LEAST_DPI, MOST_DPI = 30.0, 600.0


@dataclass(frozen=True, slots=True)
class Wish:
    """What to make of documents.

    Attributes:
        dpi: the least and the most dots an inch.
        pages: most pages of a document.
        count: most pages of all; 0: any number.
        seed: of what is drawn.
        looks: whether pages look scanned, photographed or faxed.
        dev: share of the documents whose pages go to the dev part.
        charset: lines with other characters are ignored; None: any character.
    """

    dpi: tuple[float, float] = (70.0, 220.0)
    pages: int = 10
    count: int = 0
    seed: int = 0
    looks: bool = True
    dev: float = 0.0
    charset: Charset | None = None


DEFAULTS = Wish()


@dataclass(slots=True)
class Tally:
    """What became of the documents and their pages.

    Attributes:
        documents: that were opened.
        broken: that could not be, by reason.
        left_out: pages by reason.
        kept: pages.
        lines: that are labelled.
        ignored: that are "###".
    """

    documents: int = 0
    broken: Counter[str] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)
    kept: int = 0
    lines: int = 0
    ignored: int = 0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares what `data pdf` reads."""
    parser.add_argument(
        "sources", type=Path, nargs="+", help="PDF files, or folders that are searched for them"
    )
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        required=True,
        metavar="DIR",
        help="folder to make; it must not exist, or be empty",
    )
    parser.add_argument(
        "--dpi",
        type=_dpi_range,
        default=DEFAULTS.dpi,
        metavar="LEAST-MOST",
        help="dots an inch (default: 70-220)",
    )
    parser.add_argument(
        "--pages",
        type=positive,
        default=DEFAULTS.pages,
        help="most pages of a document (default: %(default)s)",
    )
    parser.add_argument(
        "--count", type=positive, default=DEFAULTS.count, help="most pages of all (default: no bound)"
    )
    parser.add_argument("--seed", type=int, default=DEFAULTS.seed, help="another seed, other pages and looks")
    parser.add_argument(
        "--looks",
        choices=("none", "all"),
        default="all",
        help="pages as they were drawn, or also scanned, photographed and faxed",
    )
    parser.add_argument(
        "--dev",
        type=_share,
        default=DEFAULTS.dev,
        help="share of the documents that Label_dev.txt takes (default: 0)",
    )
    parser.add_argument("--charset", help="file or name; lines with other characters become ###")


def _dpi_range(text: str) -> tuple[float, float]:
    least, _, most = text.partition("-")
    try:
        bounds = float(least), float(most or least)
    except ValueError:
        bounds = (0.0, 0.0)
    if not LEAST_DPI <= bounds[0] <= bounds[1] <= MOST_DPI:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no range of {LEAST_DPI:.0f} to {MOST_DPI:.0f} dots an inch, such as 70-220"
        )
    return bounds


def _share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no share of 0 to less than 1")
    return share


def run(args: argparse.Namespace) -> int:
    """Writes the set and says what became of the documents.

    Raises:
        UsageError: no PDF, a folder in use, a full disk, no page to keep.
    """
    charset = read_charset(args.charset) if args.charset else None
    wish = Wish(args.dpi, args.pages, args.count, args.seed, args.looks == "all", args.dev, charset)
    tally = write_pdfs(documents_of(args.sources), args.output, wish)
    print("\n".join(report(tally)))
    return 0


def documents_of(sources: Sequence[Path]) -> list[Path]:
    """The PDF files among and below the sources, each once, in order.

    Raises:
        UsageError: a source is not there, or there is no PDF.
    """
    found: dict[Path, None] = {}
    for source in sources:
        if source.is_dir():
            found |= dict.fromkeys(
                sorted(path for path in source.rglob("*") if path.suffix.lower() == ".pdf" and path.is_file())
            )
        elif source.is_file():
            found[source] = None
        else:
            raise UsageError(f"{source} does not exist: give PDF files, or folders that hold some")
    if not found:
        raise UsageError(f"{', '.join(map(str, sources))}: there is no PDF file (*.pdf)")
    return list(found)


def write_pdfs(documents: Sequence[Path], output: Path, wish: Wish) -> Tally:
    """Writes images, `Label.txt` and, where some are held out, `Label_dev.txt`, all or nothing.

    Raises:
        UsageError: `output` holds something or cannot be written; no page could be kept.
    """
    cv2.setNumThreads(1)
    tally, parts = Tally(), {"Label.txt": list[LabelledImage](), "Label_dev.txt": list[LabelledImage]()}
    with new_folder(output) as aside:
        (aside / "images").mkdir()
        for path, name, page in islice(_drawn(documents, wish, tally), wish.count or None):
            dev = Random(f"dev {wish.seed} {path.name}").random() < wish.dev
            image = _store(page, aside / "images" / name)
            parts["Label_dev.txt" if dev else "Label.txt"].append(image)
            tally.kept += 1
            tally.ignored += sum(region.ignored for region in image.regions)
            tally.lines += sum(not region.ignored for region in image.regions)
        if not tally.kept:
            raise UsageError("No page was kept: " + "; ".join(report(tally)))
        for part, images in parts.items():
            if images or part == "Label.txt":
                write_labels(images, aside / part)
    return tally


def _drawn(documents: Sequence[Path], wish: Wish, tally: Tally) -> Iterator[tuple[Path, str, Drawn]]:
    """Documents, names for images, and pages, document by document in an order that the seed tells."""
    order = Random(f"pdf {wish.seed}").sample(range(len(documents)), len(documents))
    for number in tracked(order, "Drawing PDFs"):
        path = documents[number]
        for index, page in _pages(path, wish, tally):
            yield path, f"{number:04d}_{_plain(path.stem)}_p{index + 1:04d}.jpg", page


def _plain(stem: str) -> str:
    return re.sub(r"[^\w.-]+", "-", stem)[:60]


def _pages(path: Path, wish: Wish, tally: Tally) -> Iterator[tuple[int, Drawn]]:
    """Some of a document's pages, spread over it; what is left out is counted."""
    import pypdfium2

    try:
        document = pypdfium2.PdfDocument(path)
    except (pypdfium2.PdfiumError, OSError):
        tally.broken["cannot be opened, or asks for a password"] += 1
        return
    tally.documents += 1
    try:
        for index in sampled(len(document), wish.pages, Random(f"pages {wish.seed} {path.name}")):
            try:
                yield index, _page(document[index], Random(f"page {wish.seed} {path.name} {index}"), wish)
            except LayerError as reason:
                tally.left_out[str(reason)] += 1
            except pypdfium2.PdfiumError:
                tally.left_out["cannot be read"] += 1
    finally:
        document.close()


def sampled(count: int, most: int, rng: Random) -> list[int]:
    """At most `most` of `count` indices, one out of each of as many equal parts."""
    most = min(count, most)
    return [rng.randrange(i * count // most, (i + 1) * count // most) for i in range(most)]


def _page(page: Any, rng: Random, wish: Wish) -> Drawn:
    try:
        drawn = labelled_page(page, rng.uniform(*wish.dpi), wish.charset)
    finally:
        page.close()
    return aged(drawn, rng) if wish.looks else drawn


def _store(page: Drawn, path: Path) -> LabelledImage:
    _, data = cv2.imencode(".jpg", page.image, (cv2.IMWRITE_JPEG_QUALITY, 92))
    path.write_bytes(data.tobytes())
    regions = (
        Region(
            line.text,
            tuple((round(float(x), 1), round(float(y), 1)) for x, y in line.quad),
            line.text == IGNORED,
        )
        for line in page.lines
    )
    return LabelledImage(path, tuple(regions))


def report(tally: Tally) -> Iterable[str]:
    """What became of the documents, line by line."""
    yield f"{tally.documents} documents, {tally.kept} pages kept: {tally.lines} lines, {tally.ignored} ###"
    for kind, reasons in (("documents", tally.broken), ("pages", tally.left_out)):
        for reason, count in reasons.most_common():
            yield f"{count} {kind} left out: {reason}"
