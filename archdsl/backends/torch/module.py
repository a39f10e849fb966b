"""Build a graph as an `nn.Module`, which runs the graph's program."""

from __future__ import annotations

import operator
from collections import namedtuple
from collections.abc import Callable, Mapping
from functools import reduce
from typing import Any, TypeAlias, cast

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from archdsl.backends.torch.layer_text import layer_class
from archdsl.backends.torch.naming import field_names
from archdsl.backends.torch.program import ForwardStep, ModuleBlock, Program, program
from archdsl.backends.torch.rules.parts import for_all_axes
from archdsl.backends.torch.steps import Call, Expr, Module, Parameter, Run, Training, Value, Weight, values
from archdsl.diagnostics import error
from archdsl.diagnostics.arguments import unknown_choice
from archdsl.graph import Graph
from archdsl.shapes import format_shape

Memory: TypeAlias = dict[int, Tensor]
Runner: TypeAlias = Callable[[nn.Module, Memory], Any]
"""A compiled expression: it reads a module's children and the values computed so far."""


def _channels(x: Tensor, start: int, end: int | None) -> Tensor:
    return x[:, start:end]


def _from_left(operation: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    return lambda *values: reduce(operation, values)


def _sizes(x: Tensor) -> tuple[int, ...]:
    return x.shape[2:]


def _size(x: Tensor, axis: int) -> int:
    return x.shape[axis]


_OPERATORS: Mapping[str, Callable[..., Any]] = {
    "+": _from_left(operator.add),
    "-": _from_left(operator.sub),
    "*": _from_left(operator.mul),
    "/": _from_left(operator.truediv),
    "slice": _channels,
    "size": _size,
    "sizes": _sizes,
}
DEVICES = ("cpu", "cuda", "cuda:1", "mps", "xpu", "meta")
_SPACES = {"nn": nn, "F": F, "torch": torch, "torch.linalg": torch.linalg}


def _resolve(target: str) -> Callable[..., Any]:
    """Return the function or class of a target of the lowering tables. Targets are constants, never texts of a spec."""
    if target in _OPERATORS:
        return _OPERATORS[target]
    space, _, name = target.rpartition(".")
    return cast("Callable[..., Any]", getattr(_SPACES[space], name) if space else layer_class(name))


class BlockModule(nn.Module):
    """A module that runs the steps of a block over its children.

    Its inputs and outputs are in the order of the block's; several outputs are a tuple.
    """

    def __init__(self, block: ModuleBlock) -> None:
        super().__init__()
        self._title = block.title
        self._inputs = block.inputs
        self._outputs = block.outputs
        self._steps = _ready(block)

    def forward(self, *inputs: Tensor) -> Any:
        memory = self._run(inputs)
        outputs = tuple(memory[output] for output in self._outputs)
        return outputs[0] if len(outputs) == 1 else outputs

    def _run(self, inputs: tuple[Tensor, ...]) -> Memory:
        if len(inputs) != len(self._inputs):
            raise TypeError(f"{self._title} takes {len(self._inputs)} tensors, not {len(inputs)}")
        memory = dict(zip(self._inputs, inputs, strict=True))
        for outputs, runner, training, done in self._steps:
            if training and not self.training:
                continue
            result = runner(self, memory)
            if len(outputs) == 1:
                memory[outputs[0]] = result
            else:
                memory.update(zip(outputs, result, strict=True))
            for value in done:
                memory.pop(value, None)
        return memory

    def _get_name(self) -> str:
        return self._title


class NetworkModule(BlockModule):
    """The whole network. Returns one tensor; with several outputs, or auxiliary heads in training, a named tuple."""

    def __init__(self, whole: Program) -> None:
        super().__init__(whole.root)
        names = field_names((*whole.outputs, *whole.aux))
        self._plain = len(whole.outputs)
        self._evaluated = namedtuple(f"{self._title}Outputs", names[: self._plain])  # type: ignore[misc]
        self._trained = namedtuple(f"{self._title}TrainingOutputs", names)  # type: ignore[misc]

    def forward(self, *inputs: Tensor) -> Any:
        memory = self._run(inputs)
        count = len(self._outputs) if self.training else self._plain
        outputs = [memory[output] for output in self._outputs[:count]]
        if count == 1:
            return outputs[0]
        return (self._evaluated if count == self._plain else self._trained)(*outputs)


def _ready(block: ModuleBlock) -> tuple[tuple[tuple[int, ...], Runner, bool, tuple[int, ...]], ...]:
    """Return each step as its outputs, its runner, whether it runs in training only, and the values to forget after
    it."""
    last: dict[int, ForwardStep] = {}
    for step in block.steps:
        last |= dict.fromkeys((*values(step.expr), *step.outputs), step)
    return tuple(
        (
            step.outputs,
            _runner(step.expr),
            step.training,
            tuple(value for value, reader in last.items() if reader is step and value not in block.outputs),
        )
        for step in block.steps
    )


def _runner(expr: Expr) -> Runner:
    if isinstance(expr, Value):
        number = expr.id
        return lambda module, memory: memory[number]
    if isinstance(expr, Weight):
        owner, weight = _locate((expr.name, *expr.inside))
        return lambda module, memory: owner(module)._parameters[weight]
    if isinstance(expr, Training):
        return lambda module, memory: module.training
    if isinstance(expr, tuple):
        items = tuple(map(_runner, expr))
        return lambda module, memory: tuple([item(module, memory) for item in items])
    if isinstance(expr, Run):
        owner, child = _locate((expr.child, *expr.inside))
        inputs = tuple(map(_runner, expr.args))
        return lambda module, memory: owner(module)._modules[child](*[item(module, memory) for item in inputs])  # type: ignore[misc]
    if isinstance(expr, Call):
        return _call_runner(expr)
    return lambda module, memory: expr


def _locate(names: tuple[str, ...]) -> tuple[Callable[[nn.Module], nn.Module], str]:
    """Return a function that finds the module that contains a child, and the child's name in it."""
    *around, last = ".".join(names).split(".")
    if not around:
        return (lambda module: module), last
    path = ".".join(around)
    return (lambda module: module.get_submodule(path)), last


def _call_runner(call: Call) -> Runner:
    function = _resolve(call.target)
    args = tuple(map(_runner, call.args))
    kwargs = {name: _runner(item) for name, item in call.kwargs}

    def run(module: nn.Module, memory: Memory) -> Any:
        named = {name: item(module, memory) for name, item in kwargs.items()}
        return function(*[item(module, memory) for item in args], **named)

    return run


# --- building ---------------------------------------------------------------------------------------------


def build(graph: Graph, device: str | torch.device = "meta") -> nn.Module:
    """Build the network in evaluation mode: a tree of modules, one per named scope, with uninitialised tensors on
    `device`.

    `state_dict` has exactly the keys and shapes of `graph.tensors`. On the default device, `meta`, nothing is
    allocated.
    """
    network = _assemble(graph)
    if torch.device(device).type == "meta":
        return network.to("meta")
    for module in network.modules():
        _allocate(module, torch.device(device))
    return network


def _assemble(graph: Graph) -> nn.Module:
    """Build the modules, in evaluation mode, with the tensors of the state_dict on `meta`, and allocated constant
    buffers."""
    whole = program(graph)
    network = NetworkModule(whole)
    with torch.device("meta"):
        fill(network, whole.root)
    return network.eval()


def _allocate(module: nn.Module, device: torch.device) -> None:
    """Allocate the module's own tensors; buffers that contain constants are only moved."""
    for name, parameter in module._parameters.items():
        if parameter is not None:
            module._parameters[name] = nn.Parameter(torch.empty_like(parameter, device=device), parameter.requires_grad)
    for name, buffer in module._buffers.items():
        if buffer is not None:
            module._buffers[name] = torch.empty_like(buffer, device=device) if buffer.is_meta else buffer.to(device)


def fill(module: nn.Module, block: ModuleBlock) -> nn.Module:
    """Add the children to the module, as modules and parameters; all but constant buffers on the current device."""
    for dotted, child in block.children.items():
        *around, name = dotted.split(".")
        holder = module
        for part in around:
            if part not in holder._modules:
                holder.add_module(part, nn.ModuleDict())
            holder = holder.get_submodule(part)
        if isinstance(child, ModuleBlock):
            holder.add_module(name, fill(_empty(child), child))
        elif isinstance(child, Parameter):
            holder.register_parameter(name, nn.Parameter(torch.full(child.shape, child.fill)))
        else:
            holder.add_module(name, _leaf(child))
    return module


def _empty(block: ModuleBlock) -> nn.Module:
    if block.container:
        return cast("nn.Module", _resolve(block.container)())
    return BlockModule(block)


_CONSTANT = frozenset(for_all_axes({"TableConv{n}d": None, "Blur{n}d": None}))
"""Classes with buffers outside the state_dict: they are allocated, because no weights fill them later."""


def _leaf(module: Module) -> nn.Module:
    with torch.device("cpu" if module.target in _CONSTANT else "meta"):
        return cast("nn.Module", _resolve(module.target)(**dict(module.arguments)))


def to_torch(
    graph: Graph, weights: Mapping[str, Any] | None = None, seed: int | None = None, *, own: bool = False
) -> nn.Module:
    """The network in evaluation mode, with weights.

    `weights` maps every key of `graph.tensors` to an array or tensor, which are copied, unless they are the module's
    `own` (those of a file that was mapped for it alone); None: the project's own start from `seed` (default 0). Raises
    ArchError E0603 where a key is missing, unknown or of another shape.
    """
    from archdsl.backends.weights import initial

    network = _assemble(graph)
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
