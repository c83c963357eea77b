from __future__ import annotations

from hypothesis import settings

# On a busy machine any example can take long, the first one above all.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")
