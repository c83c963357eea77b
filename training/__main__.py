"""The command `ppocr-train`, also `python -m training`: from data to a bundle.

    ppocr-train data check receipts/Label.txt
    ppocr-train train recognition_latin --output runs/rec

Only the chosen command's module is imported, so help is quick and `data` needs no torch.
"""

from __future__ import annotations

import argparse
import importlib
import logging
import re
import sys
from collections.abc import Sequence

from models.records import UsageError
from models.version import add_version

DONE, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130

# name: (module in training.commands, what it does)
COMMANDS: dict[str, str] = {
    "data": "check, crop, split, pack, relabel and preview labelled images",
    "synthesize": "make lines, pages and directions",
    "train": "train a network by a configuration, or go on with a run",
    "recover": "take a network out of a bundle, to train it further",
    "blend": "take the mean of two trained networks' weights",
    "finetune": "tune a bundle to your own labelled images",
    "prune": "make a trained network smaller by FPGM, and fine-tune it",
    "quantize": "teach a trained network to compute in 8 bits by PACT, and compare",
    "ablate": "run a table of the PP-OCR paper again, its figures beside yours",
    "evaluate": "score a bundle or any engine's predictions",
    "language": "count which characters follow each other, for a recogniser that is unsure",
    "calibrate": "make lines' confidences the chance that they are right, and choose a bundle's thresholds",
    "export": "turn a checkpoint into an ONNX file",
    "bundle": "put three models into a bundle and verify it",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command; returns its exit status."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    try:
        args = parse(arguments)
        status: int = args.run(args)
    except (UsageError, FileNotFoundError, FileExistsError) as error:
        print(f"ppocr-train: {error}", file=sys.stderr)
        return USAGE
    except ModuleNotFoundError as error:
        print(
            f"ppocr-train: {error.name} is not installed; pip install 'ppocr-beam[training]'", file=sys.stderr
        )
        return USAGE
    except OSError as error:
        print(f"ppocr-train: {error}; nothing half-written was left behind", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        return INTERRUPTED
    return status


def parse(arguments: list[str]) -> argparse.Namespace:
    """Parses the command line with the chosen command's own arguments; exits with 2 as argparse does."""
    parser = argparse.ArgumentParser(
        prog="ppocr-train", description="Makes the bundles that ppocr-beam reads with."
    )
    add_version(parser)
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    chosen = next((argument for argument in arguments if not argument.startswith("-")), None)
    for name, text in COMMANDS.items():
        command = commands.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
        if name == chosen:
            module = importlib.import_module(f"training.commands.{name}")
            module.add_arguments(command)
            command.set_defaults(run=module.run)
    others, apart = settings_apart(arguments)
    args, rest = parser.parse_known_args(others)
    steps = next((argument for argument in arguments if argument.startswith("steps=")), "")
    if steps and hasattr(args, "steps"):
        parser.error(f"{steps}: the number of steps is an option, {steps.replace('steps=', '--steps ')}")
    rest += apart
    # argparse gives up on positional arguments that stand behind an option; key=value may stand anywhere.
    settings = [text for text in rest if "=" in text and not text.startswith("-")]
    if rest != settings or rest and not hasattr(args, "overrides"):
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    if rest:
        args.overrides += settings
    return args


def settings_apart(arguments: Sequence[str]) -> tuple[list[str], list[str]]:
    """The arguments without the `key=value` that stand behind an option's values, and those.

    argparse would give them to an option of several values, such as `--model detection recognition`. What
    follows an option at once is left to it.
    """
    others, settings, behind = list[str](), list[str](), False
    for before, argument in zip(("", *arguments), arguments, strict=False):
        behind |= before.startswith("-")
        setting = behind and not before.startswith("-") and re.match(r"[A-Za-z_][\w.]*=", argument)
        (settings if setting else others).append(argument)
    return others, settings


if __name__ == "__main__":
    sys.exit(main())
