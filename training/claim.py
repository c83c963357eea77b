"""A run's folder says what it was begun for, so that the same command goes on and another one is refused."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from models.records import UsageError

SETTINGS = "settings.json"


def claim(folder: Path, settings: Mapping[str, Any], option: str) -> None:
    """Notes in the folder what it is for, or compares with what stands there.

    Args:
        folder: of the run; made where there is none.
        settings: JSON values; what may change between a run and its going on is left out.
        option: the command's that names the folder.

    Raises:
        UsageError: the folder was begun with other settings, or its note cannot be read.
    """
    path = folder / SETTINGS
    if path.is_file():
        try:
            before = dict(json.loads(path.read_text("utf-8")))
        except (ValueError, TypeError) as error:
            raise UsageError(
                f"{path} does not say what the folder was begun for ({error}): remove that file where "
                f"it was for this very command, else give another {option}"
            ) from error
        if other := [key for key in settings if before.get(key) != settings[key]]:
            raise UsageError(
                f"{folder} was begun with other {', '.join(other)}: remove it, or give another {option}"
            )
        return
    folder.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(path.name + ".partial")
    aside.write_text(json.dumps(settings, ensure_ascii=False, indent=1) + "\n", "utf-8")
    aside.replace(path)
