"""A worker's life: serve the pipelines that the driver names, until the driver is gone."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import threading
from collections.abc import Sequence
from multiprocessing.connection import Connection

from apache_beam.runners.worker import sdk_worker

from pipeline import dealing, limits, logs, progress
from pipeline.graph import load_models
from pipeline.options import JobOptions


def live(files: Sequence[int]) -> None:
    """Lives it.

    Args:
        files: descriptors of the pipe to the driver, of the tally, and of the two ends of the turn's pipe.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes; the driver decides
    # Beam prints what failed in a worker, as a traceback; the driver says the same in one line.
    vars(sdk_worker)["print"] = lambda *words, **_: logging.debug(" ".join(map(str, words)))
    pipe, tally = Connection(files[0]), progress.tally_in(files[1])
    dealing.adopt(dealing.Turn.in_files(*files[2:]))
    with contextlib.suppress(EOFError):
        _prepare(*pipe.recv())
        progress.adopt(tally, limits.renew)
        tally[progress.READY] = 1
        while True:
            control_address, worker_id = pipe.recv()
            harness = sdk_worker.SdkHarness(control_address, worker_id=worker_id, state_cache_size=100 << 20)
            threading.Thread(target=harness.run, daemon=True).start()
    os._exit(0)  # a wave in progress is lost anyway, and its files are removed before it runs again


def _prepare(workers: int, options: JobOptions | None) -> None:
    """Loads the models while the driver builds its first pipeline; bounds what files may take then."""
    if options is not None:
        if options.verbose:
            logs.show()
        with contextlib.suppress(Exception):  # the stages will say what is wrong, page by page
            load_models(options)
    limits.bound_memory(workers)
    limits.renew()
