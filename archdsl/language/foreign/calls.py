"""Reads layers in the notation of another tool as calls: from Python, YAML and `key=value`. Nothing is executed."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from archdsl.language.foreign.layers import field_of, find, value
from archdsl.ops import OPS_BY_NAME
from archdsl.source import Map, Scalar, Seq, Tree


class Unknown(Exception):
    """The text is in no notation that is known, or stands for nothing that could be written."""


class Hint(Unknown):
    """The notation is known, but there is no node to propose: `help` says what is missing."""

    def __init__(self, help: str) -> None:
        self.help = help


@dataclass(frozen=True)
class Call:
    """A layer: `name` with its prefix, positional and keyword arguments, and the tensors it is applied to."""

    name: str
    args: tuple[Any, ...] = ()
    keywords: Mapping[str, Any] = field(default_factory=dict)
    inputs: tuple[Any, ...] = ()


# --- Python --------------------------------------------------------------------------------------------------


def parse_call(text: str) -> Call:
    """Return the call that a text writes; a sum or product of names is a call of `add` or `mul`. Raises Unknown."""
    text = re.sub(r"^\s*[\w.]+\s*=(?!=)\s*", "", text).rstrip(" ,;")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            node = ast.parse(text.strip(), mode="eval").body
            if isinstance(node, ast.BinOp) and isinstance(node.left, ast.Name) and isinstance(node.right, ast.Constant):
                return _shifted_or_scaled(node.left.id, node.op, node.right.value)
            result = _read(node)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise Unknown from None
    if isinstance(node, (ast.Name, ast.Attribute)):
        return Call(result)
    if not isinstance(result, Call):
        raise Unknown
    return result


def _shifted_or_scaled(name: str, operator: ast.operator, number: Any) -> Call:
    field = {ast.Mult: "mul", ast.Add: "add"}.get(type(operator))
    if field is None or type(number) not in (int, float) or find(name) is not None:
        raise Unknown
    return Call("affine", (), {field: number}, (name,))


def _read(node: ast.expr) -> Any:
    """A call, a literal, or the text of a name or an expression."""
    if isinstance(node, ast.Constant) and isinstance(node.value, (bool, int, float, str, type(None))):
        return node.value
    if isinstance(node, (ast.Tuple, ast.List)):
        return tuple(map(_read, node.elts))
    if isinstance(node, (ast.Name, ast.Attribute)):
        return _dotted(node)
    if isinstance(node, ast.Call):
        return _read_call(node)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -_read(node.operand)
    if isinstance(node, ast.BinOp):
        return _read_arithmetic(node)
    raise Unknown


def _read_arithmetic(node: ast.BinOp) -> Any:
    """A sum or product of tensors as a call; of numbers and names as an expression."""
    sides = _read(node.left), _read(node.right)
    merge = {ast.Add: "add", ast.Mult: "mul"}.get(type(node.op))
    if merge is not None and all(isinstance(side, (str, Call)) for side in sides):
        left, right = sides
        same = isinstance(left, Call) and left.name == merge and not left.keywords
        return Call(merge, (*(left.args if same else (left,)), right))
    if any(isinstance(side, Call) for side in sides):
        raise Unknown
    return ast.unparse(node).replace(" ", "")


def _dotted(node: ast.expr) -> str:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value)}.{node.attr}".removeprefix("self.")
    raise Unknown


def _read_call(node: ast.Call) -> Call:
    args = tuple(map(_read, node.args))
    keywords = {k.arg: _read(k.value) for k in node.keywords if k.arg is not None}
    if len(keywords) < len(node.keywords):
        raise Unknown
    if isinstance(node.func, ast.Attribute) and isinstance(node.func.value, ast.Call):  # `Conv2D(3, 8, 3).relu()`
        return Call(node.func.attr, (_read_call(node.func.value), *args), keywords)
    if isinstance(node.func, ast.Call):  # `Add()([a, b])`
        return replace(_read_call(node.func), inputs=args)
    if isinstance(node.func, ast.Attribute) and ast.unparse(node.func.value) == "self":  # a layer, on its tensors
        return Call(node.func.attr, (), keywords, args)
    return Call(_dotted(node.func), args, keywords)


# --- texts of `key=value` and `key: value` -------------------------------------------------------------------


def fields_in(text: str) -> dict[str, Any]:
    """Return the values of `filters=32 size=3` (Darknet) or `num_output: 20` (Caffe), also over several lines."""
    return {key: value(item.strip('"')) for key, item in re.findall(r'([\w.-]+)\s*[:=]\s*("[^"]*"|[^\s{}]+)', text)}


# --- YAML ----------------------------------------------------------------------------------------------------

TYPE_KEYS = ("type", "class_name", "op_type", "layer_type", "module", "op", "layer", "kind", "_target_")
_NESTED = ("config", "params", "kwargs", "attrs", "attributes", "arguments", "parameters", "args")


def mapping_call(tree: Map, key: str) -> Call:
    """Return the call of `{type: Conv2D, filters: 32}`, `{Conv2D: {filters: 32}}` and, below a key, `{filters: 32}`."""
    entries = dict(tree.entries)
    type_key = next((k for k in TYPE_KEYS if isinstance(tree.get(k), Scalar)), None)
    if type_key is not None:
        name = entries.pop(type_key).value.span.text
        inputs = _as_tuple(plain(entries.pop("from").value)) if "from" in entries else ()
        args, keywords = _arguments(Map(entries, tree.span, tree.flow))
        if name not in OPS_BY_NAME and find(f"[{name}]") is not None:
            name = f"[{name}]"  # Darknet
        name = f"type:{name}" if type_key == "type" and find(f"type:{name}") is not None else name
        row = find(name)
        own = row is not None and not keywords.keys().isdisjoint(("out", "kernel"))  # no tool has these names
        return Call(row.op if row is not None and own else name, args, keywords, inputs)
    first, entry = next(iter(entries.items()))
    name, inner = re.sub(r"_?\d+$", "", key), None
    if find(first) is not None and not _has_nodes(entry.value):
        name, inner = first, entries.pop(first).value
    row = find(name)
    if row is None or not all(field_of(k, row) for k in entries):
        raise Unknown
    args, keywords = _arguments(inner) if inner is not None else ((), {})
    more, outer = _arguments(Map(entries, tree.span, tree.flow))
    return Call(name, (*args, *more), {**keywords, **outer})


def _has_nodes(tree: Tree) -> bool:
    """Whether a value may be that of a named node: a text, or a list of more than the names of tensors."""
    if isinstance(tree, Seq):
        return any(isinstance(item, Scalar) and " " in item.text for item in tree.items)
    return isinstance(tree, Scalar) and isinstance(tree.value, str)


def _arguments(tree: Tree) -> tuple[tuple[Any, ...], dict[str, Any]]:
    if not isinstance(tree, Map):
        return _as_tuple(plain(tree)), {}
    args: tuple[Any, ...] = ()
    keywords: dict[str, Any] = {}
    for name, entry in tree.entries.items():
        nested = name in _NESTED or name.endswith("_param")
        more, inner = _arguments(entry.value) if nested else ((), {name: plain(entry.value)})
        args, keywords = (*args, *more), {**keywords, **inner}
    return args, keywords


def _as_tuple(item: Any) -> tuple[Any, ...]:
    return item if isinstance(item, tuple) else () if item is None else (item,)


def plain(tree: Tree) -> Any:
    """Return a tree as data: lists are tuples, and words such as `None` have their value."""
    if isinstance(tree, Scalar):
        return value(tree.value) if tree.value in ("None", "True", "False") else tree.value
    if isinstance(tree, Seq):
        return tuple(map(plain, tree.items))
    return {name: plain(entry.value) for name, entry in tree.entries.items()}
