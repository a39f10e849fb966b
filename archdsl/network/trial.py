"""Values in memory as inputs of a network: `net(x)`, and the preprocessing of `predict` as an object."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from archdsl.axes import axes_of
from archdsl.diagnostics import error
from archdsl.shapes import format_shape

if TYPE_CHECKING:
    import torch
    from torch import nn

    from archdsl.backends.weights import Weights
    from archdsl.runtime.recipe import Recipe
    from archdsl.runtime.transforms import ImageTransform


def one_input(network: Any) -> tuple[int, ...]:
    """Return the shape of the only input. Raises E0806 if there are several."""
    shape: tuple[int, ...] | dict[str, tuple[int, ...]] = network.input
    if isinstance(shape, dict):
        raise error("E0806", f"`{network.name}` has {len(shape)} inputs; an image or an array fills only one")
    return shape


def image_transform(network: Any, recipe: Recipe | None, weights: Weights | None) -> ImageTransform:
    """Return the preprocessing of images with a recipe, or with that of weights.

    Raises E0806 if the network's input is neither an image nor a volume.
    """
    from archdsl.runtime.preprocess import LegalSizes
    from archdsl.runtime.recipe import Recipe
    from archdsl.runtime.transforms import ImageTransform

    shape = one_input(network)
    if weights is not None and "preprocess" in weights.facts:
        recipe = Recipe.from_json(weights.facts["preprocess"])
    if recipe is None:
        raise error("E0806", f"the input of `{network.name}`, {format_shape(shape)}, is neither an image nor a volume")
    channels = shape[0] if axes_of(shape) else 0
    if network.classes is not None or not network.graph.sizes:
        return ImageTransform(recipe, tuple(map(LegalSizes, shape[1:] or shape)), channels)
    sizes = network.graph.sizes
    legal = (LegalSizes(s.default) if s.pinned else LegalSizes(None, s.minimum, s.step) for s in sizes)
    return ImageTransform(recipe, tuple(legal), channels)


def run(network: Any, module: nn.Module, value: Any) -> Any:
    """Return the module's output for an image, an array or a tensor, without gradients.

    A single sample becomes a batch of one. Raises E0806 if the value does not fit the input.
    """
    import torch

    shape = one_input(network)
    batch = _tensor(network, value)
    batch = batch[None] if batch.ndim == len(shape) else batch
    if batch.ndim != len(shape) + 1 or batch.shape[1] != shape[0]:
        got, expected = format_shape(tuple(batch.shape)), format_shape(shape)
        help = "pixels of type uint8 are preprocessed; other arrays must have the shape of the input"
        raise error("E0806", f"`{network.name}` takes N x {expected}; the value has the shape {got}", help=help)
    with torch.no_grad():
        return module(batch)


def _tensor(network: Any, value: Any) -> torch.Tensor:
    import numpy as np
    import torch

    if isinstance(value, torch.Tensor):
        return value.detach().to("cpu", torch.float32)
    if isinstance(value, np.ndarray) and value.dtype != np.uint8:
        return torch.from_numpy(np.ascontiguousarray(value, np.float32))
    prepared: torch.Tensor = network.transforms()(value)
    return prepared
