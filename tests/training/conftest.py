from __future__ import annotations

import torch

# Tests share their machine: threads that wait for each other on a busy one cost more than they bring.
torch.set_num_threads(1)
