"""A folder that appears whole or not at all."""

from __future__ import annotations

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from models.records import UsageError


@contextmanager
def new_folder(output: Path) -> Iterator[Path]:
    """Gives a folder to write in that becomes `output` when the block ends, and goes away when it fails.

    Raises:
        UsageError: `output` holds something, or cannot be written.
    """
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise UsageError(f"{output} exists and is not an empty folder: choose another, or remove it.")
    aside = output.with_name(f".{output.name}.{os.getpid()}.partial")
    try:
        aside.mkdir(parents=True)
        yield aside
        if output.exists():
            output.rmdir()
        aside.rename(output)
    except OSError as error:
        space = " Free some space, or ask for fewer." if error.errno == errno.ENOSPC else ""
        raise UsageError(
            f"{output} cannot be written: {error.strerror or error}. Nothing was kept.{space}"
        ) from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)
