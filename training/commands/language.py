"""`ppocr-train language`: texts to a language model, which a recogniser asks where it is unsure.

ppocr-train language --texts runs/data/receipts runs/data/forms:2 --words en de:0.3 fr:0.3 --output latin.json
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from training.commands import positive

KILOBYTE = 1024


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    parser.add_argument(
        "--texts",
        nargs="+",
        default=[],
        type=_weighted,
        metavar="PATH[:WEIGHT]",
        help="label files, packed shards, or .txt files of a line each; a weight says how often each counts",
    )
    parser.add_argument(
        "--words",
        nargs="+",
        default=[],
        type=_weighted,
        metavar="LANGUAGE[:WEIGHT]",
        help="the most frequent words of languages, such as en de:0.3",
    )
    parser.add_argument(
        "--most_words",
        type=positive,
        default=30_000,
        metavar="N",
        help="of a language (default: %(default)s)",
    )
    parser.add_argument(
        "--made", type=int, default=200_000, metavar="N", help="texts of made lines (default: %(default)s)"
    )
    parser.add_argument(
        "--charset", default="latin", help="of the recogniser: a name or a file (default: %(default)s)"
    )
    parser.add_argument(
        "--kilobytes", type=positive, default=512, metavar="N", help="of the table (default: %(default)s)"
    )
    parser.add_argument("--seed", type=int, default=1, help="of the made texts (default: %(default)s)")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE", help="the .json to write")


def _weighted(text: str) -> tuple[str, float]:
    name, _, weight = text.partition(":")
    value = float(weight or 1)
    if not (name and 0 < value < float("inf")):
        raise argparse.ArgumentTypeError(f"{text!r} is not a name, or a name, a colon and a weight above 0")
    return name, value


def run(args: argparse.Namespace) -> int:
    """Counts, and writes the model."""
    from training.language import learn, made, words
    from training.tasks.recognition import load_charset

    charset = load_charset(args.charset).characters
    texts = [
        *((text, weight) for path, weight in args.texts for text in texts_of(Path(path))),
        *(word for code, weight in args.words for word in words(code, args.most_words, weight)),
        *made(charset, args.made, args.seed),
    ]
    language = learn(texts, charset, args.kilobytes * KILOBYTE // 2)
    args.output.write_text(language.to_json(), "utf-8")
    filled = (language.cells > 0).mean()
    print(f"{args.output}: {len(texts):,} texts, {language.cells.size:,} cells, {filled:.0%} of them in use")
    return 0


def texts_of(path: Path) -> Iterator[str]:
    """The texts of a label file, of a packed shard (with the case that a teacher gave), or of a plain file.

    Raises:
        UsageError: it holds no texts.
        OSError: it cannot be read.
    """
    from training.data.labels import read_labels
    from training.data.shards import read_jsonl

    if path.suffix == ".txt" and not _labelled(path):
        return (line for line in path.read_text("utf-8").splitlines() if line.strip())
    if (path / "labels.jsonl").is_file():
        return (row.get("cased") or row["text"] for row in read_jsonl(path / "labels.jsonl"))
    labels = read_labels(path, images=False)
    return (region.text for image in labels.images for region in image.regions if not region.ignored)


def _labelled(path: Path) -> bool:
    with path.open(encoding="utf-8") as file:
        return "\t" in file.readline()
