"""What a Flex template's launcher runs: the command `ppocr-beam`."""

from __future__ import annotations

from pipeline.__main__ import main
from pipeline.status import leave

if __name__ == "__main__":
    leave(main())
