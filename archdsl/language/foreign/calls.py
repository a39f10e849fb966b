"""Parses a call of Python, `nn.Conv2d(3, 64, kernel_size=7)`, into data. Nothing is executed."""

from __future__ import annotations

import ast
import re
import warnings
from dataclasses import dataclass, replace
from typing import Any

MAX_CALL = 1_000
"""Longer texts are not parsed."""


class Name(str):
    """A name in a call, such as that of a tensor; a string in quotes is a `str`."""

    __slots__ = ()


@dataclass(frozen=True)
class Call:
    """A call: `name` with its prefix, positional and keyword arguments, and the tensors it is applied to."""

    name: str
    args: tuple[Any, ...]
    keywords: dict[str, Any]
    inputs: tuple[Any, ...] = ()


class NotACall(Exception):
    """The text is not a call, or contains something other than calls, names and literals."""


def parse_call(text: str) -> Call | Name:
    """Return the call that a text writes; a sum or product of names is a call of `add` or `mul`. Raises NotACall."""
    text = re.sub(r"^\s*[\w.]+\s*=(?!=)\s*", "", text).rstrip(" ,;")
    if len(text) > MAX_CALL:
        raise NotACall
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            result = _value(ast.parse(text.strip(), mode="eval").body)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise NotACall from None
    if not isinstance(result, (Call, Name)):
        raise NotACall
    return result


def _value(node: ast.expr) -> Any:
    if isinstance(node, ast.Constant) and isinstance(node.value, (bool, int, float, str, type(None))):
        return node.value
    if isinstance(node, (ast.Tuple, ast.List)):
        return tuple(map(_value, node.elts))
    if isinstance(node, (ast.Name, ast.Attribute)):
        return Name(_dotted(node).removeprefix("self."))
    if isinstance(node, ast.Call):
        return _call(node)
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        operand = _value(node.operand)
        if type(operand) in (int, float):
            return -operand
    if isinstance(node, ast.BinOp):
        return _arithmetic(node)
    raise NotACall


def _arithmetic(node: ast.BinOp) -> Any:
    """A sum or product of tensors as a call; of numbers and names as an expression."""
    left, right = _value(node.left), _value(node.right)
    merge = {ast.Add: "add", ast.Mult: "mul"}.get(type(node.op))
    if merge is not None and all(isinstance(side, (Name, Call)) for side in (left, right)):
        same = isinstance(left, Call) and left.name == merge and not left.keywords
        return Call(merge, (*(left.args if same else (left,)), right), {})
    if isinstance(left, Call) or isinstance(right, Call):
        raise NotACall
    return Name(ast.unparse(node).replace(" ", ""))


def _dotted(node: ast.expr) -> str:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value)}.{node.attr}"
    raise NotACall


def _call(node: ast.Call) -> Call:
    args = tuple(map(_value, node.args))
    keywords = {k.arg: _value(k.value) for k in node.keywords if k.arg is not None}
    if len(keywords) < len(node.keywords):
        raise NotACall
    if isinstance(node.func, ast.Attribute) and isinstance(node.func.value, ast.Call):  # `Conv2d(3, 8, 3).relu()`
        return Call(node.func.attr, (_call(node.func.value), *args), keywords)
    if isinstance(node.func, ast.Call):  # `Add()([a, b])`
        return replace(_call(node.func), inputs=args)
    return Call(_dotted(node.func).removeprefix("self."), args, keywords)
