"""Weights drawn at random for a network of another library, which archdsl's network of the same keys gets as well."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def random_weights(model: nn.Module, dtype: torch.dtype) -> dict[str, Tensor]:
    """Weights, and statistics of batch norm that are not those it starts with."""
    random = torch.Generator().manual_seed(0)

    def drawn(key: str, like: Tensor) -> Tensor:
        if not like.is_floating_point():
            return torch.zeros_like(like, device="cpu")
        if like.dim() > 1:
            return torch.randn(like.shape, generator=random) * (2 * like.shape[0] / like.numel()) ** 0.5
        if key.endswith(("weight", "running_var")):
            return torch.rand(like.shape, generator=random) + 0.5
        return torch.randn(like.shape, generator=random) / 10

    return {key: drawn(key, t).to(dtype if t.is_floating_point() else t.dtype) for key, t in model.state_dict().items()}


def scattered(module: nn.Module) -> nn.Module:
    """The module in evaluation mode, with batch statistics that are not those it starts with."""
    torch.manual_seed(0)
    for inner in module.modules():
        if isinstance(inner, nn.modules.batchnorm._NormBase) and inner.running_mean is not None:
            inner.running_mean.normal_(0, 0.1)
            inner.running_var.uniform_(0.5, 2.0)
    return module.eval()
