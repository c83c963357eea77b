"""Tuning without forgetting: what a network said before of some lines is what it is to go on saying.

Self-distillation as prior preservation (Li and Hoiem 2016, Learning without Forgetting): on lines that stand
for the rest of the world its own soft outputs of before are a target beside the labels. With the labels alone
a network drifts; with its own outputs alone it loses lines that it was barely right about.
"""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from models.records import UsageError
from training.checkpoint import load_checkpoint, load_network
from training.data.charset import Charset
from training.data.lines import LineBatch


class Before(nn.Module):
    """The recogniser as it was; it is not trained, and its characters are the first of the new charset.

    Args:
        path: of its checkpoint.
        charset: of the network that is trained.

    Raises:
        UsageError: its characters are not the first of `charset`.
    """

    def __init__(self, path: Path, charset: Charset) -> None:
        super().__init__()
        self.net = load_network(path).requires_grad_(False)
        known = load_checkpoint(path).state["charset"]
        if "".join(charset.characters[: len(known)]) != known:
            raise UsageError(f"the characters of {path} are not the first ones of the charset to be learnt")
        self.classes = len(known) + 1
        self.eval()

    def train(self, mode: bool = True) -> Before:
        """Stays in evaluation, whatever is said."""
        return super().train(False)

    def kept(self, batch: LineBatch) -> Tensor:
        """(N,) bool: lines of kept sources, but for those with characters that were not known."""
        if batch.kept is None:
            return torch.zeros(len(batch.images), dtype=torch.bool, device=batch.images.device)
        lines = torch.repeat_interleave(torch.arange(len(batch.lengths)), batch.lengths.cpu())
        strange = torch.zeros(len(batch.lengths), dtype=torch.bool)
        strange[lines[batch.targets.cpu() >= self.classes]] = True
        return batch.kept & ~strange.to(batch.kept.device)

    @torch.no_grad()
    def said(self, images: Tensor, classes: int) -> Tensor:
        """(N, T, classes) probabilities of (N, C, H, W) images; those of characters added since are 0."""
        said = self.net(images).float().softmax(2)
        return F.pad(said, (0, classes - said.shape[2]))
