"""Evaluation of bundles and of any engine's predictions (`ppocr-train evaluate`), without torch."""
