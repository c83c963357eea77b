"""The package that makes bundles: data, synthesis, networks, training, evaluation and export (`ppocr-train`)."""
