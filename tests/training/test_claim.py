from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from models.records import UsageError
from training.claim import SETTINGS, claim


@pytest.mark.parametrize("content", ['{"steps": 1', "", "3"], ids=["cut off", "empty", "no mapping"])
def test_a_broken_note_is_told(content: str, tmp_path: Path) -> None:
    (tmp_path / SETTINGS).write_text(content)
    with pytest.raises(UsageError, match=r"settings\.json .*remove that file .* else give another --output"):
        claim(tmp_path, {"steps": 1}, "--output")


def test_a_kill_while_the_note_is_written_leaves_no_broken_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut_off(path: Path, text: str, *_: Any) -> int:
        path.write_bytes(text.encode()[:5])
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Path, "write_text", cut_off)
        claim(tmp_path, {"steps": 1}, "--output")
    claim(tmp_path, {"steps": 2}, "--output")
    with pytest.raises(UsageError, match="begun with other steps"):
        claim(tmp_path, {"steps": 1}, "--output")
