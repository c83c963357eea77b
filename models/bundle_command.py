"""`ppocr-bundle`: shows, verifies, lists, cuts and composes bundles, and imports stock PP-OCR models.

Usage:
  ppocr-bundle list
  ppocr-bundle verify ppocrv6-small
  ppocr-bundle import --generation v4 --detection d.onnx --recognition r.onnx --output v4
  ppocr-bundle cut ppocrv6-small --charset latin --output v6-latin
  ppocr-bundle compose latin --second ppocrv6-small --second_below .9 --output mine
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from models.bundle import MODELS, SECOND, SECOND_BELOW, Bundle, list_bundles, load_bundle, verify
from models.bundle_arguments import about_of, add_arguments
from models.compose import Composition, compose
from models.import_stock import (
    CLASSIFIER_OF,
    GENERATIONS,
    StockModels,
    cut_bundle,
    import_stock,
    read_characters,
)
from models.records import UsageError
from models.scripts import scripts_of
from models.version import add_version

_BUNDLE_HELP = "name of a built-in bundle, or a folder that holds a manifest.json"


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one sub-command; 0: done, 1: a bundle does not verify, 2: cannot be done as asked, 130: Ctrl-C."""
    try:
        args = build_parser().parse_args(argv)
        command: Callable[[argparse.Namespace], int] = args.run
        return command(args)
    except (UsageError, OSError) as error:
        print(f"ppocr-bundle: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


def build_parser() -> argparse.ArgumentParser:
    """The command line, one sub-command after the other."""
    parser = argparse.ArgumentParser(
        prog="ppocr-bundle", description="Model bundles: look at them, check them, make them."
    )
    add_version(parser)
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    _add(
        commands,
        "list",
        _list,
        "name the built-in bundles, and say what they read and whether they are installed",
    )
    _add_bundle(_add(commands, "show", _show, "print what a bundle's manifest says"))
    _add_bundle(
        _add(commands, "verify", _verify, "compare a bundle's files with the digests in its manifest")
    )
    _add_import(_add(commands, "import", _import, "make a bundle from stock PP-OCR ONNX files of v2 to v6"))
    _add_cut(_add(commands, "cut", _cut, "copy a bundle with a recogniser that knows fewer characters"))
    _add_compose(_add(commands, "compose", _compose, "put a bundle together of other bundles' models"))
    return parser


def _add(
    commands: Any, name: str, run: Callable[[argparse.Namespace], int], what: str
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(
        name, help=what, description=f"{what[0].upper()}{what[1:]}."
    )
    parser.set_defaults(run=run)
    return parser


def _add_bundle(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("bundle", help=_BUNDLE_HELP)


def _add_import(parser: argparse.ArgumentParser) -> None:
    models = parser.add_argument_group("models")
    models.add_argument(
        "--generation", required=True, choices=GENERATIONS, help="whose heights and normalisation apply"
    )
    for model in MODELS:
        needed = model != "direction"
        shown = f"the {model} model" + ("" if needed else f" (default: that of the bundle {CLASSIFIER_OF})")
        models.add_argument(f"--{model}", required=needed, type=Path, metavar="ONNX", help=shown)
    models.add_argument(
        "--dictionary",
        type=Path,
        metavar="TXT",
        help="one character a line (default: the recogniser's metadata)",
    )
    _add_charset(models)
    add_arguments(parser)


def _add_cut(parser: argparse.ArgumentParser) -> None:
    _add_bundle(parser)
    _add_charset(parser, required=True)
    parser.add_argument("--name", help="the new bundle's name (default: the output folder's)")
    parser.add_argument(
        "-o", "--output", required=True, type=Path, metavar="FOLDER", help="a new folder for the bundle"
    )


def _add_compose(parser: argparse.ArgumentParser) -> None:
    _add_bundle(parser)
    models = parser.add_argument_group("models of other bundles: names or folders")
    for model in MODELS:
        models.add_argument(f"--{model}", metavar="BUNDLE", help=f"whose {model} model to take instead")
    models.add_argument(
        "--second",
        metavar="BUNDLE",
        help="whose recogniser reads the lines again that the first is unsure of",
    )
    models.add_argument(
        "--second_below",
        type=float,
        default=SECOND_BELOW,
        metavar="P",
        help="the confidence of the first below which it does (default: %(default)s)",
    )
    add_arguments(parser)


def _add_charset(parser: argparse._ActionsContainer, required: bool = False) -> None:
    parser.add_argument(
        "--charset",
        required=required,
        metavar="NAME",
        help="keep only the characters of a built-in bundle, such as latin, or of a file of one a line: the "
        "recogniser gets smaller and quicker, and reads what it still knows as before",
    )


def _list(_: argparse.Namespace) -> int:
    for name in list_bundles():
        try:
            bundle = load_bundle(name, check=False)
        except UsageError as error:
            print(f"{name}\tnot installed: {error}")
        else:
            manifest = bundle.manifest
            size, reads = f"{megabytes(bundle):.1f} MB", _reads(bundle)
            print(f"{name}\t{size}\t{manifest.license}\t{reads}\t{manifest.description}")
    return 0


def _reads(bundle: Bundle) -> str:
    """The scripts that a bundle reads, for a person."""
    return f"reads {', '.join(scripts_of(bundle.manifest.recognition.charset)) or 'no whole script'}"


def _show(args: argparse.Namespace) -> int:
    bundle = load_bundle(args.bundle, check=False)
    values = asdict(bundle.manifest)
    models = {model: values.pop(model) for model in (*MODELS, SECOND)}
    if models[SECOND] is None:
        del models[SECOND], values["second_below"]
    _print_values(
        "", {**values, "id": bundle.id, "folder": bundle.folder, "megabytes": f"{megabytes(bundle):.1f}"}
    )
    for model, spec in models.items():
        charset = spec.pop("charset", ())
        _print_values(f"{model}.", spec)
        if charset:
            _print_values(f"{model}.", _about_charset(charset))
    return 0


def _about_charset(charset: Sequence[str]) -> dict[str, Any]:
    shown = "".join(charset[:100]) + ("…" if len(charset) > 100 else "")
    return {
        "scripts": scripts_of(charset) or "no whole one",
        "charset": f"{len(charset)} characters: {shown}",
    }


def _print_values(prefix: str, values: dict[str, Any]) -> None:
    for key, value in values.items():
        if isinstance(value, tuple):
            value = (", " if any(isinstance(item, str) for item in value) else " ").join(map(str, value))
        print(f"{prefix + key:<30} {value if value != '' else '-'}")


def _verify(args: argparse.Namespace) -> int:
    bundle = load_bundle(args.bundle, check=False)
    problems = verify(bundle)
    for problem in problems:
        print(f"{bundle.manifest.name}: {problem}")
    if not problems:
        print(f"{bundle.manifest.name}: every file is the one that the manifest names; bundle id {bundle.id}")
    return 1 if problems else 0


def _import(args: argparse.Namespace) -> int:
    stock = StockModels(
        args.generation,
        args.detection,
        args.direction,
        args.recognition,
        args.dictionary,
        None if args.charset is None else read_characters(args.charset),
        dict(args.settings),
    )
    _report(import_stock(stock, about_of(args), args.output), args.output, stock.characters or ())
    return 0


def _cut(args: argparse.Namespace) -> int:
    characters = read_characters(args.charset)
    bundle = load_bundle(args.bundle)
    _report(
        cut_bundle(bundle, characters, args.name or args.output.name, args.output), args.output, characters
    )
    return 0


def _compose(args: argparse.Namespace) -> int:
    sources = {model: getattr(args, model) or args.bundle for model in MODELS}
    if args.second:
        sources[SECOND] = args.second
    made = compose(Composition(sources, args.second_below, dict(args.settings)), about_of(args), args.output)
    print(f"{args.output}: id {made.id}")
    return 0


def _report(bundle: Bundle, output: Path, wanted: Sequence[str]) -> None:
    charset = bundle.manifest.recognition.charset
    print(f"{output}: {len(charset)} characters, {megabytes(bundle):.1f} MB, id {bundle.id}")
    if unknown := [char for char in wanted if char not in charset]:
        print(f"not among the recogniser's characters: {' '.join(unknown)}")


def megabytes(bundle: Bundle) -> float:
    """Size of a bundle's model files that are there, in units of a million bytes."""
    paths = map(bundle.model_path, bundle.manifest.models)
    return sum(path.stat().st_size for path in paths if path.is_file()) / 1e6


if __name__ == "__main__":
    sys.exit(main())
