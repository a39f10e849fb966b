"""`docs/ops.md`: every op, from its docstring, its fields, and one example that is run."""

from __future__ import annotations

import re
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import archdsl
from archdsl import explain
from archdsl.backends.onnx.plan import plan
from archdsl.backends.torch.lower import lower
from archdsl.graph import Node
from archdsl.ops import OPS_BY_NAME, Op
from archdsl.ops.base import MAX_SIZE, PER_SIDE, Every, Example, PerAxis
from archdsl.ops.conv import Numbers
from archdsl.shapes import format_shape

sys.path.insert(0, str(Path(__file__).parent))
from reference import escaped

HEAD = """\
# The ops

<!-- `tools/docs.py` generates this page from `archdsl/ops/`. -->

Every op of the language, with its shapes, parameters, costs and fields. [The language](language.md) describes how to write nodes.

A shape is the number of channels C and the size of each axis, without the batch: C x L for a signal, C x H x W for an
image, C x D x H x W for a volume. Ops work along each axis, on all three. `C x S` stands for any of these shapes, with
sizes S (L, H x W or D x H x W) and S' for the output; K is the window's size on each axis, such as 3 x 3. In counts, S and
K are products. A pixel is one position, also in a signal or a volume.

Every field can be written `key=value` in the short form and `key: value` in the long form. In the short form, a window
precedes the op (`3x3 conv`, `15 conv`, `3x3x3 conv`) and a stride follows it (`/2`, `/1x2x2`). *Without a key* lists the
fields that receive bare values, in order; *Words* lists words that set a field. An activation may follow every op; after
`conv`, `dwconv`, `deconv` and `fc`, a norm may come before it.

Lines that would be empty (no parameters, multiply-accumulates, errors or source) are left out. MACs are for one sample;
bias adds are not counted. [Decision 5](decisions/05-counting.md) defines these figures, and the receptive field.
"""  # noqa: E501


def ops_page() -> str:
    """Return the whole page: a section for each file of `archdsl/ops`, in the order of `OPS_BY_NAME`."""
    families: dict[str, list[type[Op]]] = {}
    for op in OPS_BY_NAME.values():
        families.setdefault(op.__module__, []).append(op)
    parts = [HEAD, _contents(families)]
    for module, ops in families.items():
        parts.append(f"## {_family(module)}")
        parts += [_section(op) for op in ops]
    return "\n\n".join(part.rstrip() for part in parts) + "\n"


def _contents(families: dict[str, list[type[Op]]]) -> str:
    rows = ["| family | ops |", "|---|---|"]
    for module, ops in families.items():
        rows.append(f"| {_family(module)} | {' '.join(f'[`{op.name}`](#{op.name})' for op in ops)} |")
    return "\n".join(rows)


def _family(module: str) -> str:
    """Return the subject of the file's docstring: its text up to the first colon, comma or full stop."""
    return re.split(r"[:,.]", sys.modules[module].__doc__ or "")[0]


# --- one op ----------------------------------------------------------------------------------------------


def _section(op: type[Op]) -> str:
    text, _, facts = re.sub(r"\n[ ]+(?=\S)", lambda m: "\n" if len(m[0]) <= 5 else " ", op.__doc__ or "").partition(
        "\n\n"
    )
    lines = [f"### {op.name}", "", escaped(" ".join(text.replace("``", "`").split())), ""]
    for fact in escaped(facts.replace("``", "`")).strip().splitlines():
        name, _, rest = fact.partition(": ")
        if rest in ("none.", "0."):
            continue
        lines.append(f"* {name}: {_linked(rest) if name == 'Errors' else _cited(rest) if name == 'Source' else rest}")
    shown = ["\n\n".join(map(_shown, (example_of(op.name), *op.further)))]
    return "\n".join([*lines, *_short_form(op), "", *shown, *_fields(op)])


def _linked(text: str) -> str:
    """Turn codes into links to their pages."""
    return re.sub(r"[EW]0\d{3}", lambda m: f"[{m[0]}](errors.md#{anchor(f'{m[0]}: {explain.page(m[0]).title}')})", text)


def _cited(text: str) -> str:
    return re.sub(r"arXiv (\d{4}\.\d{4,5})", r"[arXiv \1](https://arxiv.org/abs/\1)", text)


def anchor(title: str) -> str:
    """Return the link target of a heading, as GitHub generates it."""
    return re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-")


def _short_form(op: type[Op]) -> Iterator[str]:
    if op.positional:
        yield f"* Without a key: {', '.join(f'`{name}`' for name in op.positional)}."
    if op.flags:
        yield f"* Words: {', '.join(f'`{word}` ({key}: {_value(value)})' for word, (key, value) in op.flags.items())}."
    if op.role:
        yield f"* May follow another op as its {'norm' if op.role == 'norm' else 'activation'}."


def _fields(op: type[Op]) -> Iterator[str]:
    if not op.model_fields:
        return
    yield from ("", "| field | type | default | |", "|---|---|---|---|")
    hints = get_type_hints(op, include_extras=True)
    for name, field in op.model_fields.items():
        default = "*required*" if field.is_required() else "" if field.default is None else f"`{_value(field.default)}`"
        yield f"| `{name}` | {_type(hints[name])} | {default} | {field.description} |"


def example_of(op: str) -> Example:
    """Return the example of the op of this name, with the text of its node."""
    example = OPS_BY_NAME[op].example
    return example._replace(text=example.text or op)


def example_spec(op: str) -> str:
    """Return the example as a whole spec."""
    return _spec(example_of(op))


def _spec(example: Example) -> str:
    return f"input: {example.input}\nnet:\n{example.before}  y: {example.text}\n{example.after}"


def _shown(example: Example) -> str:
    """Describe an example: its shapes, its cost, and the names it has in each target."""
    graph = archdsl.loads(_spec(example)).graph
    node = graph.by_path.get("y") or graph.by_path["y.0"]
    first = graph.nodes[node.inputs[0]]
    inputs = " and ".join(map(format_shape, first.in_shapes if first.path.startswith("y/") else node.in_shapes))
    outputs = " and ".join(format_shape(n.shape) for n in graph.nodes if n.path == "y" or n.path.startswith("y."))
    size = sum(p.numel for p in node.params)
    trained = sum(p.numel for p in node.params if p.trained)
    costs = [
        f"{trained:,} parameters" if trained else "",
        f"{size - trained:,} values in buffers" if size > trained else "",
        f"{node.macs:,} MACs" if node.macs else "",
    ]
    cost = "; ".join(filter(None, costs))
    onnx = [n.op_type for n in plan(graph).nodes if n.name == node.path or n.name.startswith(f"{node.path}/")]
    onnx = [op_type for op_type in onnx if op_type != "Flatten" or node.op.name == "flatten"]
    names = f"`{'`, `'.join(dict.fromkeys(onnx))}`" if onnx else "none"
    text = f"`{example.text}`: {inputs} -> {outputs}{f' ({cost})' if cost else ''}."
    return f"{text} PyTorch: {_torch(node)}. ONNX: {names}."


def _torch(node: Node) -> str:
    lowered = lower(node.op, node.in_shapes)
    call: Any = lowered.call
    target = lowered.module.target if lowered.module is not None else getattr(call, "target", "")
    if target in ("+", "*", "slice"):
        return {"+": "`x + y`", "*": "`x * y`", "slice": "`x[:, a:b]`"}[target]
    return f"`{target}`" if "." in target else "a class in the generated file" if target else "none"


# --- types -----------------------------------------------------------------------------------------------


def _type(hint: Any) -> str:
    """Return the type of a field in words."""
    if hint == PerAxis:
        return "whole number from 1, or a list with one for each axis"
    if hint == Numbers:
        return "nested lists of numbers"
    origin, args = get_origin(hint), get_args(hint)
    if origin is Annotated and PER_SIDE in args:
        return "list with one for each side"
    if origin is Annotated:
        return _type(args[0]) + _limits(args[1:])
    if origin is Literal:
        return " or ".join(f"`{value}`" for value in args)
    if origin in (Union, types.UnionType):
        left = [a for a in args if a is not type(None)]
        if set(get_args(Numbers)) <= set(left):
            left = [a for a in left if a not in get_args(Numbers)] + [Numbers]
        return ", or ".join(map(_type, left))
    if origin is tuple:
        item = re.sub("^list|number(?!s)", r"\g<0>s", _type(args[0]))
        return f"list of {item}" if args[-1] is ... else f"list of {len(args)} {item}"
    return {int: "whole number", float: "number", bool: "true or false", str: "name"}[hint]


def _limits(metadata: tuple[Any, ...]) -> str:
    limits: dict[str, Any] = {}
    for field in metadata:
        for limit in getattr(field, "metadata", ()):
            limits |= {
                name: getattr(limit, name)
                for name in ("ge", "gt", "le", "lt")
                if getattr(limit, name, None) is not None
            }
    low = (
        f" from {limits['ge']}"
        if limits.get("ge", -MAX_SIZE) > -MAX_SIZE
        else f" above {limits['gt']}"
        if "gt" in limits
        else ""
    )
    high = (
        f" to {limits['le']}"
        if limits.get("le", MAX_SIZE) < MAX_SIZE
        else f", below {limits['lt']}"
        if "lt" in limits
        else ""
    )
    return low + high


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Every):
        return str(value[0])
    if isinstance(value, tuple):
        return f"[{', '.join(map(_value, value))}]"
    return f"{value:g}" if isinstance(value, float) else str(value)
