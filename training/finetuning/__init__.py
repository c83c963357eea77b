"""A bundle tuned to somebody's own documents: what `ppocr-train finetune` does."""
