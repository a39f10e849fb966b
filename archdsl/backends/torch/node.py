"""Build one node of a graph as a separate module."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import nn

from archdsl.backends.torch.class_arguments import constant
from archdsl.backends.torch.forward import doc, statements
from archdsl.backends.torch.layer_text import layer_class, load_text
from archdsl.backends.torch.layout import flat
from archdsl.backends.torch.lower import lower
from archdsl.backends.torch.module import allocate_constants
from archdsl.backends.torch.program import ForwardStep, ModuleBlock
from archdsl.backends.torch.steps import Argument, Expr, Module, Value, Weight, replace
from archdsl.graph import Node

_OP = "op"


class _NodeModule(nn.Module):
    """Runs a function of itself and the inputs."""

    def __init__(self, run: Callable[..., Any]) -> None:
        super().__init__()
        self.run = run

    def forward(self, *inputs: torch.Tensor) -> Any:
        return self.run(self, *inputs)


def node_module(node: Node, weights: Mapping[str, Any]) -> nn.Module:
    """Build the node as a module in evaluation mode, whose forward takes the node's inputs in order.

    `weights` contains at least the node's own tensors, by their keys in the network; they are copied.
    """
    lowered = lower(node.op, node.in_shapes)
    with torch.device("meta"):
        if lowered.module is not None:
            module = _NodeModule(lambda self, *inputs: self.op(*inputs))
            module.add_module(_OP, _layer(lowered.module))
        else:
            module = _NodeModule(_function(node, lowered.call))
            if lowered.parameter is not None:
                module.register_parameter(_OP, nn.Parameter(torch.empty(lowered.parameter.shape)))
    tensors = module.state_dict(keep_vars=True)
    for param in node.reads:
        key = f"{_OP}.{param.name}" if param.name else _OP
        value = torch.tensor(weights[node.key(param)]).to(tensors[key].dtype)
        tensors[key] = nn.Parameter(value, False) if isinstance(tensors[key], nn.Parameter) else value
    module.load_state_dict(tensors, strict=True, assign=True)
    allocate_constants(module, "cpu")
    return module.eval()


def _layer(module: Module) -> nn.Module:
    space, _, name = module.target.rpartition(".")
    layer: nn.Module = (getattr(nn, name) if space else layer_class(name))(**dict(module.arguments))
    return layer


def _function(node: Node, expr: Expr) -> Callable[..., Any]:
    """Return a lowered expression as a function of the module and the node's inputs, from the text that is printed."""
    names = [f"x{n}" for n in range(len(node.inputs))]
    step = ForwardStep((-1,), replace(expr, _own))
    block = ModuleBlock(node.scope, "Node", {}, tuple(range(len(names))), (-1,), (step,))
    (statement,) = statements([block], lambda use, column: constant(column[0]))
    head = f"import torch\nimport torch.nn.functional as F\ndef run({', '.join(['self', *names])}):"
    function: Callable[..., Any] = load_text(
        "node", f"{head} return {flat(doc(statement.expr, names.__getitem__))}"
    ).run
    return function


def _own(leaf: Argument | Value | Weight) -> Expr:
    if isinstance(leaf, Argument):
        return Value(leaf.index)
    return Weight(_OP) if isinstance(leaf, Weight) else leaf
