"""L2 decay (PP-OCR section 2.3): the gradient of half the squared weights is added to the loss's gradient."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn


@torch.no_grad()
def add_l2_gradient(parameters: Iterable[nn.Parameter], factor: float) -> None:
    """Adds `factor` x weight to the gradients of matrices and kernels; vectors are left alone."""
    for parameter in parameters:
        if parameter.grad is not None and parameter.ndim > 1:
            parameter.grad.add_(parameter, alpha=factor)
