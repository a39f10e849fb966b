"""Build a graph as an `nn.Module`: the classes of its printed source, compiled."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from archdsl.backends.torch.layer_text import load_text
from archdsl.backends.torch.naming import identifier
from archdsl.backends.torch.source import to_source
from archdsl.diagnostics import error
from archdsl.diagnostics.arguments import unknown_choice
from archdsl.graph import Graph
from archdsl.shapes import format_shape

DEVICES = ("cpu", "cuda", "cuda:1", "mps", "xpu", "meta")


@lru_cache(maxsize=32)
def _names(text: str, name: str) -> Mapping[str, Any]:
    """Return the classes and functions of a printed source, as the Python module `name`."""
    names = vars(load_text(name, text))
    for item in names.values():
        if isinstance(item, type) and item.__module__ == name:
            _bring_text(item, text)
    return names


def _bring_text(cls: type, text: str) -> None:
    """Let objects of a class bring the text that defines it where they are copied, pickled or sent to other processes:
    no import finds the class."""

    def reduce(self: Any, protocol: Any) -> Any:
        parts: Any = object.__reduce_ex__(self, 2)
        _, (found, *arguments), *state = parts
        if found is not cls:  # a class that somebody derived from it
            return parts
        return new_object, (text, cls.__module__, cls.__qualname__, *arguments), *state

    cls.__reduce_ex__ = reduce  # type: ignore[method-assign, assignment]


def new_object(text: str, name: str, cls: str, *arguments: Any) -> Any:
    """Return a new object of a class of a printed source. Pickled modules refer to this function."""
    found = _names(text, name)[cls]
    return found.__new__(found, *arguments)


def build(graph: Graph, device: str | torch.device = "meta") -> nn.Module:
    """Build the network in evaluation mode: a tree of modules, one per named scope, with uninitialised tensors on
    `device`.

    `state_dict` has exactly the keys and shapes of `graph.tensors`. On the default device, `meta`, nothing is
    allocated.
    """
    with torch.device("meta"):
        network = cast("nn.Module", _names(to_source(graph), f"archdsl_{identifier(graph.name)}")["build"]())
    network.eval()
    if torch.device(device).type != "meta":
        network.to_empty(device=device)
        allocate_constants(network, device)
    return network


def allocate_constants(module: nn.Module, device: str | torch.device) -> None:
    """Allocate the buffers outside of the state_dict, which no weights fill."""
    with torch.device(device):
        for part in module.modules():
            constants = getattr(part, "constants", None)
            if callable(constants):
                part._buffers |= constants()


def to_torch(
    graph: Graph, weights: Mapping[str, Any] | None = None, seed: int | None = None, *, own: bool = False
) -> nn.Module:
    """The network in evaluation mode, with weights.

    `weights` maps every key of `graph.tensors` to an array or tensor, which are copied, unless they are the module's
    `own` (those of a file that was mapped for it alone); None: the project's own start from `seed` (default 0). Raises
    ArchError E0603 where a key is missing, unknown or of another shape.
    """
    from archdsl.backends.weights import initial

    network = build(graph)
    arrays = initial(graph, seed or 0) if weights is None else weights
    _check_keys(graph, arrays)
    tensors = network.state_dict(keep_vars=True)
    for key, tensor in tensors.items():
        value = _tensor(arrays[key], tensor.dtype, own or weights is None)
        if tuple(value.shape) != tuple(tensor.shape):
            actual, expected = format_shape(tuple(value.shape)), format_shape(tuple(tensor.shape))
            raise error("E0603", f"`{key}` has the shape {actual or '()'}; this network needs {expected or '()'}")
        tensors[key] = nn.Parameter(value, tensor.requires_grad) if isinstance(tensor, nn.Parameter) else value
    network.load_state_dict(tensors, strict=True, assign=True)
    allocate_constants(network, "cpu")
    return network


def usable_device(device: str | torch.device) -> torch.device:
    """The device of this name. Raises E0001 for a name of no device, E0803 for one that torch cannot use here."""
    try:
        place = torch.device(device)
    except (RuntimeError, TypeError):
        raise unknown_choice("device", device, DEVICES) from None
    try:
        torch.empty(0, device=place)
    except Exception as problem:  # every kind, depending on the device
        why = str(problem).strip().splitlines() or [type(problem).__name__]
        raise error("E0803", f"torch cannot use the device `{place}`: {why[0][:200]}", status=2) from None
    return place


def _tensor(value: Any, dtype: torch.dtype, own: bool) -> Tensor:
    """Return a separate tensor: it shares neither its memory nor its gradient with `value`, unless it is `own`."""
    if own and isinstance(value, np.ndarray) and value.flags.carray:  # contiguous, aligned, may be written to
        return torch.from_numpy(value).to(dtype)
    if isinstance(value, Tensor):
        return value.detach().to("cpu", dtype, copy=True).contiguous()
    return torch.from_numpy(np.array(value)).to(dtype)


def _check_keys(graph: Graph, weights: Mapping[str, Any]) -> None:
    expected = {tensor.key for tensor in graph.tensors}
    missing, unknown = sorted(expected - set(weights)), sorted(set(weights) - expected)
    if missing or unknown:
        parts = [
            f"{len(keys)} {what} (`{keys[0]}`)" for keys, what in ((missing, "missing"), (unknown, "unknown")) if keys
        ]
        raise error("E0603", f"the weights do not fit `{graph.name}`: " + ", ".join(parts))
