"""`ppocr-train ablate`: a table of the PP-OCR paper run again on your data, the paper's figures beside yours.

ppocr-train ablate 9 --data ablation.yaml --output runs/ablation --minutes 60 --seeds 3

The data file says what each task learns from and is scored on:

    direction:
      sources: [{shard: runs/data/receipts_train}]
      dev: [{name: receipts, shard: runs/data/receipts_dev}]
"""

from __future__ import annotations

import argparse
from pathlib import Path

from training.commands import add_steps

NUMBERS = (3, *range(5, 16))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    parser.add_argument(
        "table", type=int, choices=NUMBERS, metavar="TABLE", help="3 or 5 to 15, of the paper"
    )
    parser.add_argument(
        "overrides",
        nargs="*",
        metavar="key=value",
        help="laid over each row's configuration; PART.key=value (tables 14 and 15: detection, direction, "
        "recognition, detection_large, recognition_large) over that network's training alone",
    )
    parser.add_argument(
        "--data",
        type=Path,
        required=True,
        metavar="YAML",
        help="task: {sources: ..., dev: ...} for each task that the table needs, as in configurations",
    )
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        required=True,
        metavar="FOLDER",
        help="the same command again goes on where it stopped",
    )
    length = parser.add_mutually_exclusive_group()
    add_steps(length, "of each run", 1000)
    length.add_argument(
        "--minutes", type=float, default=0.0, help="for all runs together: steps are chosen so that they fit"
    )
    parser.add_argument("--seeds", type=int, default=1, help="runs of each row (default: %(default)s)")


def run(args: argparse.Namespace) -> int:
    """Runs the table and prints it."""
    from models.records import UsageError
    from training.ablation.runs import Plan, check_plan, fixed_steps, report, run_table, steps_for
    from training.ablation.tables import TABLES
    from training.claim import claim
    from training.config import read_yaml

    if not args.data.is_file():
        raise UsageError(
            f"{args.data} does not exist: it says what each task learns from; --help shows an example"
        )
    table, folder = TABLES[args.table], args.output / f"table{args.table}"
    plan = Plan(read_yaml(args.data), tuple(args.overrides), args.steps, args.seeds)
    check_plan(table, plan)
    length = {"minutes": args.minutes} if args.minutes else {"steps": args.steps}
    claim(
        folder,
        {"data": plan.data, "overrides": args.overrides, "minutes": 0.0, "steps": 0} | length,
        "--output",
    )
    steps = fixed_steps(folder, lambda: steps_for(table, plan, args.minutes)) if args.minutes else args.steps
    print(f"table {args.table}: {len(table.rows)} rows, {args.seeds} seeds, {steps} steps each")
    plan = Plan(plan.data, plan.overrides, steps, plan.seeds)
    print(report(table, run_table(table, plan, folder, print)))
    return 0
