"""Keeps torch out of the driver and of the workers on this machine.

Importing this module does it, before Beam is imported: RunInference imports torch where it is installed, as
with `[training]`. That costs each process seconds and memory, and the job's models run without it.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import cast

# None makes `import torch` fail as if there were none, which Beam is ready for.
sys.modules.setdefault("torch", cast(ModuleType, None))
