"""The package behind `ppocr-train`: data, synthesis, networks, training, evaluation, export."""
