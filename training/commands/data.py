"""`ppocr-train data`: check, crop, split, pack, relabel, mark and preview labelled images, or draw PDFs.

ppocr-train data check receipts/Label.txt --charset latin
ppocr-train data pack receipts/Label.txt runs/data/receipts
ppocr-train data relabel runs/data/receipts --teacher ppocrv6-small
ppocr-train data mark receipts/Label.txt receipts/Marked.txt --teacher ppocrv6-small
ppocr-train data preview runs/data/receipts sheet.png
ppocr-train data pdf manuals/ --output runs/data/manuals
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from models.records import UsageError
from training.pdfs import command as pdf_command
from training.progress import tracked

if TYPE_CHECKING:
    from training.data.labels import Problem


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the verbs and what each of them reads."""
    verbs = parser.add_subparsers(title="verbs", required=True, metavar="VERB", dest="verb")
    check = verbs.add_parser("check", help="count and list what is wrong with a set")
    _labels(check)
    check.add_argument(
        "--charset", default="latin", help="charset file or name; texts are checked against it"
    )
    crop = verbs.add_parser("crop", help="write each line as a PNG with a rec_gt.txt")
    _labels(crop)
    crop.add_argument("out", type=Path)
    split = verbs.add_parser("split", help="split a label file in two by image")
    _labels(split)
    split.add_argument("--dev", type=float, default=0.1, help="share of the images that goes to the dev part")
    split.add_argument("--seed", type=int, default=0)
    pack = verbs.add_parser("pack", help="pack all lines into a memory-mapped shard")
    _labels(pack)
    pack.add_argument("out", type=Path)
    pack.add_argument("--max_height", type=int, default=48, help="taller lines are shrunk to it")
    pack.add_argument(
        "--margin", type=float, default=0.25, help="kept around each line, as a fraction of its height"
    )
    relabel = verbs.add_parser("relabel", help="let a teacher read a shard and give its labels their case")
    relabel.add_argument("shard", type=Path)
    relabel.add_argument(
        "--teacher", type=Path, required=True, help="bundle, or ONNX file with its charset in the metadata"
    )
    relabel.add_argument("--trust_case", action="store_true", help="the labels' own case is right")
    mark = verbs.add_parser("mark", help="mark as don't care what a teacher finds and no label covers")
    _labels(mark)
    mark.add_argument("out", type=Path, help="label file to write, in the folder of the one that is read")
    mark.add_argument("--teacher", type=Path, required=True, help="bundle whose detector looks")
    relabel.add_argument(
        "--reach", type=float, default=0.4, help="leave out lines that differ by more; 0: all that differ"
    )
    preview = verbs.add_parser("preview", help="draw a contact sheet of a shard")
    preview.add_argument("shard", type=Path)
    preview.add_argument("out", type=Path, help="PNG file")
    preview.add_argument("--lines", type=int, default=60)
    preview.add_argument("--seed", type=int, default=0)
    pdf = verbs.add_parser("pdf", help="draw digital PDFs as pages, labelled by their text layer")
    pdf_command.add_arguments(pdf)


def _labels(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "labels", type=Path, help="Label.txt, rec_gt.txt, or a folder with either or ICDAR's gt_*.txt"
    )


def run(args: argparse.Namespace) -> int:
    """Runs the verb."""
    verbs = {
        "check": _check,
        "crop": _crop,
        "split": _split,
        "pack": _pack,
        "relabel": _relabel,
        "mark": _mark,
        "preview": _preview,
        "pdf": pdf_command.run,
    }
    return verbs[args.verb](args)


def _check(args: argparse.Namespace) -> int:
    from training.data.charset import read_charset
    from training.data.check import check_labels
    from training.data.labels import read_labels

    report = check_labels(read_labels(args.labels), read_charset(args.charset))
    print(f"{report.images} images, {report.lines} lines, {report.ignored} don't-care")
    _tell(report.problems)
    return 1 if report.problems else 0


def _crop(args: argparse.Namespace) -> int:
    from training.data.check import write_crops
    from training.data.labels import read_labels

    count, problems = write_crops(read_labels(args.labels), args.out)
    print(f"{count} lines written to {args.out}")
    _tell(problems)
    return 0


def _split(args: argparse.Namespace) -> int:
    from training.data.split import split_labels

    if not 0 < args.dev < 1:
        raise UsageError(f"--dev is {args.dev}, must lie between 0 and 1")
    for path, count in split_labels(args.labels, args.dev, args.seed).items():
        print(f"{path}: {count} images")
    return 0


def _pack(args: argparse.Namespace) -> int:
    from training.data.labels import read_labels
    from training.data.pack import pack_lines

    count, problems = pack_lines(
        read_labels(args.labels), args.out, max_height=args.max_height, margin=args.margin
    )
    print(f"{count} lines packed into {args.out}")
    _tell(problems)
    return 0


def _relabel(args: argparse.Namespace) -> int:
    from training.data.relabel import relabel_shard
    from training.data.teacher import Teacher

    teacher, progress = Teacher(args.teacher), partial(tracked, what="Relabelling")
    counts = relabel_shard(
        args.shard, teacher.read, trust_label_case=args.trust_case, reach=args.reach, progress=progress
    )
    print(", ".join(f"{count} {kind}" for kind, count in counts.most_common()))
    return 0


def _mark(args: argparse.Namespace) -> int:
    from models.bundle import load_bundle
    from models.detection import Detector
    from models.records import Image, Page, Quad
    from models.session import Session
    from training.data.labels import read_labels
    from training.data.unlabelled import write_marked

    labels = read_labels(args.labels)
    if any(not region.polygon for image in labels.images for region in image.regions):
        raise UsageError(f"{args.labels} holds lines, not pages: a detector finds nothing more on them")
    bundle = load_bundle(str(args.teacher))
    spec = bundle.manifest.detection
    detector = Detector(spec, Session(bundle.model_path(spec)))

    def find(image: Image) -> list[Quad]:
        page = Page(width=image.shape[1], height=image.shape[0], image=image)
        return [line.polygon for line in detector([page])[0].lines]

    added = write_marked(tracked(labels.images, "Marking"), find, args.out)
    print(f"{added} regions marked in {args.out}")
    _tell(labels.problems)
    return 0


def _preview(args: argparse.Namespace) -> int:
    from training.data.preview import contact_sheet

    contact_sheet(args.shard, args.out, lines=args.lines, seed=args.seed)
    print(f"{args.out} written")
    return 0


def _tell(problems: Sequence[Problem], most: int = 5) -> None:
    """Prints how many problems there are of each kind, and the first of each."""
    for kind, count in Counter(problem.kind for problem in problems).most_common():
        print(f"{kind}: {count}")
        for problem in [p for p in problems if p.kind == kind][:most]:
            print(f"  {problem.where}  {problem.detail}")
