"""Beam's logs, cut down to what a user can act on.

Importing this module does it: worker processes begin with imports, and Beam speaks while it is imported.
"""

from __future__ import annotations

import logging
import sys
import threading

FORMAT = "ppocr-beam: %(message)s"

# What goes wrong comes up in the main thread too, as an exception that is told in one line; when a worker is
# killed, several of Beam's threads fall over as well.
logging.getLogger("apache_beam").setLevel(logging.CRITICAL)
logging.getLogger("urllib3").setLevel(logging.ERROR)  # its warnings name URLs with their signatures
threading.excepthook = lambda failed: logging.debug("in thread %s: %r", failed.thread, failed.exc_value)
# Said through the root logger, so by its words: that Beam's own Google Cloud extra is missing where
# google-cloud-storage is installed without it, and that RunInference cannot measure a model's memory.
_IDLE = ("apitools not found", "Resource module is not available")
logging.getLogger().addFilter(lambda record: not str(record.msg).startswith(_IDLE))
# Ctrl-C may arrive where Python lets no exception through and prints it instead; `Job.check` sees to it.
sys.unraisablehook = lambda lost: logging.debug("ignored in %s: %r", lost.object, lost.exc_value)


def show() -> None:
    """Shows what Beam and the job log after all, for `--verbose`."""
    logging.getLogger().setLevel(logging.INFO)
    logging.getLogger("apache_beam").setLevel(logging.NOTSET)
    # One line for each annotation of each transform, that Beam reads no annotations given as text.
    logging.getLogger("apache_beam.typehints").setLevel(logging.WARNING)
    logging.basicConfig(format=FORMAT)
