"""The commands of `ppocr-train`, one module each: `add_arguments(parser)` and `run(args) -> exit status`."""
