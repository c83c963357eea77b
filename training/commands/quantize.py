"""`ppocr-train quantize`: a trained network learns to live with 8 bits by PACT (PP-OCR section 2.2).

Prints size, speed and scores of the float network, of its int8 weights (what `bundle` ships), and of full
int8 in ONNX Runtime, with ranges as first measured and as learnt; with the extra `[openvino]`, of the first
and the last in OpenVINO too. Writes `qdq.onnx`.

ppocr-train quantize runs/cls/last.safetensors --output runs/cls8 --steps 300
"""

from __future__ import annotations

import argparse
from pathlib import Path

from training.commands import add_steps


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    parser.add_argument("checkpoint", type=Path, help="a float .safetensors of ppocr-train; stays as it is")
    parser.add_argument(
        "overrides", nargs="*", metavar="key=value", help="laid over the checkpoint's configuration"
    )
    parser.add_argument(
        "-o",
        "--output",
        type=Path,
        required=True,
        help="folder of the run; the same one again goes on with it",
    )
    add_steps(parser, "of training", 300)
    parser.add_argument(
        "--max_minutes", type=float, default=0.0, help="stop training after so long, resumably; 0: never"
    )


def run(args: argparse.Namespace) -> int:
    """Trains, exports and prints what was measured."""
    from training.quantization.run import pact_training, report

    rows = pact_training(
        args.checkpoint, args.output, args.overrides, steps=args.steps, max_minutes=args.max_minutes
    )
    print(report(rows))
    return 0
