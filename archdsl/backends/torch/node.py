"""Build one node of a graph as a separate module."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from archdsl.backends.torch.lower import lower
from archdsl.backends.torch.module import BlockModule, fill
from archdsl.backends.torch.program import Child, ForwardStep, ModuleBlock
from archdsl.backends.torch.steps import Argument, Expr, Run, Value, Weight, replace
from archdsl.graph import Node

_OP, _RESULT = "op", -1


def node_module(node: Node, weights: Mapping[str, Any]) -> nn.Module:
    """Build the node as a module in evaluation mode, whose forward takes the node's inputs in order.

    `weights` contains at least the node's own tensors, by their keys in the network; they are copied.
    """
    lowered = lower(node.op, node.in_shapes)
    arguments = tuple(range(len(node.inputs)))
    children: dict[str, Child] = {}
    expr: Expr
    if lowered.module is not None:
        children[_OP], expr = lowered.module, Run(_OP, tuple(map(Value, arguments)))
    else:
        expr = replace(lowered.call, _own)
        if lowered.parameter is not None:
            children[_OP] = lowered.parameter
    block = ModuleBlock(node.scope, "Node", children, arguments, (_RESULT,), (ForwardStep((_RESULT,), expr),))
    with torch.device("meta"):
        module = fill(BlockModule(block), block)
    tensors = module.state_dict(keep_vars=True)
    for param in node.reads:
        key = f"{_OP}.{param.name}" if param.name else _OP
        value = torch.tensor(weights[node.key(param)]).to(tensors[key].dtype)
        tensors[key] = nn.Parameter(value, False) if isinstance(tensors[key], nn.Parameter) else value
    module.load_state_dict(tensors, strict=True, assign=True)
    return module.eval()


def _own(leaf: Argument | Value | Weight) -> Expr:
    if isinstance(leaf, Argument):
        return Value(leaf.index)
    return Weight(_OP) if isinstance(leaf, Weight) else leaf
