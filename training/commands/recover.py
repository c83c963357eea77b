"""`ppocr-train recover`: a bundle's network as a checkpoint, for runs that go on from it.

ppocr-train recover recognition_latin --bundle latin --output runs/start.safetensors
ppocr-train train recognition_latin pretrained=runs/start.safetensors --output runs/recognition

A stock PP-OCR network is fitted to what the configuration asks for: grey in the place of colour, another
height of lines, another charset.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from training.config import Config
    from training.recover import Start


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    parser.add_argument(
        "config",
        help="YAML file, or the name of one in training/configs: what kind of model, and the data that its "
        "batch norms are measured on",
    )
    parser.add_argument("--bundle", default="latin", help="name or folder (default: %(default)s)")
    parser.add_argument(
        "-o", "--output", type=Path, required=True, metavar="FILE", help="the .safetensors to write"
    )
    parser.add_argument(
        "--batches",
        type=int,
        default=100,
        help="training batches that batch norms are measured on (default: %(default)s)",
    )
    parser.add_argument(
        "--gelu",
        choices=("gelu", "silu", "hard_swish"),
        default="gelu",
        help="of a stock network: what takes the place of GELU, which costs a CPU more: silu reads the same, "
        "hard_swish costs least (default: %(default)s, which leaves it)",
    )
    parser.add_argument(
        "--draw",
        nargs="+",
        default=[],
        metavar="LANGUAGE",
        choices=("zh", "ja"),
        help="of a stock recogniser: characters that it lacks begin as they look in this machine's fonts "
        "for these languages, zh or ja (default: as the letter that they are a form of, or the average)",
    )
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="settings over the configuration")


def run(args: argparse.Namespace) -> int:
    """Takes the weights out of the bundle, measures batch norms, writes."""
    from models.bundle import load_bundle
    from models.records import UsageError
    from training.adapt import fit
    from training.config import load_config
    from training.recover import measured, save_start, start_from_bundle

    if args.output.exists():
        raise UsageError(f"{args.output} is there already; choose another --output")
    if args.batches < 1:
        raise UsageError(f"--batches is {args.batches}, must be 1 or more")
    config = load_config(args.config, args.overrides)
    bundle = load_bundle(args.bundle)
    start = start_from_bundle(bundle, config.task)
    start = fit(start, getattr(bundle.manifest, config.task), config, gelu=args.gelu)
    if args.draw:
        start = drawn(start, bundle.manifest.recognition.charset, config, args.draw)
    start = measured(start, config, args.batches)
    args.output.parent.mkdir(parents=True, exist_ok=True)
    save_start(start, config, args.output)
    print(f"wrote {args.output}: the {config.task} network of {args.bundle}")
    print("What is trained from it has its network: network.name=pretrained")
    return 0


def drawn(start: Start, known: Sequence[str], config: Config, languages: Sequence[str]) -> Start:
    """A recogniser whose new characters begin as they look in the fonts of some languages.

    Raises:
        UsageError: it is no stock recogniser, or there are no such fonts.
    """
    from models.records import UsageError
    from training.imprint import imprint
    from training.synthesis.east_asian import east_asian_faces

    if config.task != "recognition" or start.network.name != "stock":
        raise UsageError("--draw is for PP-OCR's own recognisers")
    faces = {face.path: face for name in languages for face in east_asian_faces(start.charset, name)}
    return imprint(start, known, list(faces.values()), config.data.shape.height)
