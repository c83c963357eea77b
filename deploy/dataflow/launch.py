"""What a Flex template's launcher runs: the command `ppocr-beam`."""

from __future__ import annotations

import sys

from pipeline.__main__ import main

if __name__ == "__main__":
    sys.exit(main())
