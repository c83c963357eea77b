"""`ppocr-train train`: one run by a configuration; `--resume` goes on exactly where it stopped.

ppocr-train train recognition_latin --output runs/rec data.jitter=0.1 optimizer.lr=1e-3
ppocr-train train --resume --output runs/rec --max_minutes 30
"""

from __future__ import annotations

import argparse
from pathlib import Path

from training.commands import add_steps, settings


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares what `run` reads."""
    parser.add_argument(
        "config", nargs="?", help="YAML file, or the name of one in training/configs; not with --resume"
    )
    parser.add_argument(
        "overrides", nargs="*", metavar="key=value", help="settings laid over the configuration"
    )
    parser.add_argument(
        "-o", "--output", type=Path, required=True, help="folder of the run: checkpoints, configuration, logs"
    )
    add_steps(parser, "of the whole run (default: the configuration's)")
    parser.add_argument("--resume", action="store_true", help="go on with the run in --output")
    parser.add_argument(
        "--max_minutes", type=float, default=0.0, help="stop after so long, resumably; 0: never"
    )


def run(args: argparse.Namespace) -> int:
    """Trains and prints the last scores."""
    from training.config import ConfigError, load_config
    from training.tasks.loop import resumed_config, train

    overrides = settings(args)
    if args.resume and args.config:
        if "=" not in args.config:
            raise ConfigError(
                "a resumed run has its configuration already: leave the name out, key=value may stay"
            )
        overrides.insert(0, args.config)
    if not args.resume and not args.config:
        raise ConfigError("say which configuration to train by, such as recognition_latin")
    config = resumed_config(args.output, overrides) if args.resume else load_config(args.config, overrides)
    scores = train(config, args.output, resume=args.resume, max_minutes=args.max_minutes)
    print("  ".join(f"{name} {value:.4f}" for name, value in scores.items()) or "no dev set was scored")
    return 0
