"""Texts of ops and blocks: as a spec writes them, `7x7 conv 64 /2`, and as figures of papers do, `7x7 conv, 64, /2`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from archdsl.analysis.parts import Part, changes, head, is_block, scopes
from archdsl.axes import in_short, uniform
from archdsl.diagnostics import escape_control
from archdsl.graph import Graph, Node, Scope
from archdsl.ops import OPS_BY_NAME, Affine, Again, Concat, Conv, Identity, Op, Pool
from archdsl.ops.reshape import Unknown
from archdsl.shapes import Shape, at

TIMES = "\u00d7"
"""The multiplication sign, for drawings."""
_PER_AXIS = frozenset(name for op in OPS_BY_NAME.values() for name in op.per_axis)
"""The fields of ops that have a number for each axis."""
_WORDS = re.compile(r"[^\s,;:()\[\]]+|[\s,;:()\[\]]+")
"""Words, and what stands between them."""
_ARGUMENT = re.compile(r"[^\s,()\[\]](?:[^,()\[\]]|\([^()]*\)|\[[^\[\]]*\])*|\[[^\[\]]*\]|\([^()]*\)")
_NAMED = re.compile(r"[A-Za-z_]\w*=(?!=)")
_LONG_PATH = 20
_MAX_VALUE = 24
"""Longer values (a table of connections, fixed weights) are printed as dots."""


def written(op: Op, inputs: Sequence[Shape] = (), normed: bool = False) -> str:
    """Return the short form of an op.

    `inputs`: the input shapes, which identify a depthwise convolution. `normed`: a norm follows.
    """
    if isinstance(op, Unknown):
        return escape_control(op.text)
    op_name, fields = _name_and_fields(op, inputs)
    if normed and fields.get("bias") is False:
        del fields["bias"]
    kernel, stride = fields.pop("kernel", None), fields.pop("stride", None)
    words = [sizes_text(kernel)] if kernel else []
    words.append(op_name)
    words += [_spec_text(name, fields.pop(name)) for name in op.positional if name in fields]
    words += [f"/{in_short(stride)}"] if stride else []
    flags = {(field, repr(value)): flag for flag, (field, value) in op.flags.items()}
    words += [flags.get((name, repr(value)), f"{name}={_spec_text(name, value)}") for name, value in fields.items()]
    return escape_control(" ".join(words))


def figure(op: Op, inputs: Sequence[Shape] = ()) -> str:
    """Return the label of an op in a drawing: kernel and op, then output channels, stride, groups, dilation."""
    if isinstance(op, Unknown):
        return escape_control(op.text)
    op_name, fields = _name_and_fields(op, inputs)
    kernel, stride = fields.pop("kernel", None), fields.pop("stride", None)
    if op_name == "avgpool" and fields.get("adaptive"):
        return f"avg pool to {TIMES.join(map(str, kernel))}"
    if isinstance(op, Affine) and not (isinstance(op.mul, tuple) or op.add):
        return f"{TIMES} {field_text(op.mul)}"
    title = op.label or op_name.replace("_", " ")
    label = f"{TIMES.join(map(str, kernel))} {title}" if kernel else title
    if "out" in fields:
        label += f" {field_text(fields['out'])}" if op_name == "fc" else f", {field_text(fields['out'])}"
    label += f", /{in_short(stride, TIMES)}" if stride and stride != kernel or stride and op.look == "conv" else ""
    if isinstance(op, Pool) and not stride:
        label += f", /{in_short(kernel, TIMES)}" if kernel else ""
    label += f", groups {fields['groups']}" if fields.get("groups") and op_name == "conv" else ""
    label += f", dilation {in_short(fields['dilation'], TIMES)}" if "dilation" in fields else ""
    if op.label_values:
        values = [value_text(k, v, TIMES) for k, v in fields.items() if k in op.positional]
        label += " " + " ".join(values) if values else ""
    return escape_control(label)


def part_written(graph: Graph, part: Part) -> str:
    """Return the text of a part in a table: its node in short form, or its block's name and arguments."""
    if part.scope is not None and part.kind != "node":
        return part_name(graph, part)
    nodes = part.nodes(graph)
    main = head(graph, part)
    followers = [n.op for n in nodes if n.id > main.id]
    normed = any(op.role == "norm" for op in followers)
    return " ".join([node_written(graph, main, normed), *(op.name for op in followers)])


def node_written(graph: Graph, node: Node, normed: bool = False) -> str:
    """Return the short form of a node: that of its op, or `again` and the node that it repeats."""
    if node.shared_with:
        return escape_control(f"{Again.name} {node.again}")
    names = dict.fromkeys(node.op.references, graph.like(node)) if node.op.measured else {}
    return written(node.op.model_copy(update=names), node.in_shapes, normed)


def part_figure(graph: Graph, part: Part) -> tuple[str, str]:
    """Return the label of a written node in a drawing, and the norm and activation that follow: `bn relu`.

    A label in the spec replaces both. Numbers that differ among the copies are a range: `slice 0 64…128`.
    """
    main = head(graph, part)
    at = main.id - part.copies[0].start
    again = ", again" if main.shared_with else ""
    if main.label:
        return f"{main.label}{again}", ""
    followers = [n.op.name for n in part.nodes(graph) if n.id > main.id and type(n.op) is not Identity]
    like = f", like {escape_control(graph.like(main))}" if main.op.measured else ""
    copies = [graph.nodes[copy.start + at] for copy in part.copies]
    title = common_text([figure(node.op, node.in_shapes) for node in copies]) or main.op.name
    return f"{title}{like}{again}", " ".join(followers)


def common_text(texts: Sequence[str]) -> str:
    """Return a text for several: numbers that differ become a range (`2…5`), other words `…`.

    Empty if the texts have not the same number of words, or no word in common.
    """
    if len(set(texts)) <= 1:
        return texts[0] if texts else ""
    rows = [_WORDS.findall(text) for text in texts]
    if len({*map(len, rows)}) > 1:
        return ""
    columns = list(zip(*rows, strict=True))
    if not any(len(set(column)) == 1 and column[0][-1].isalnum() for column in columns):
        return ""
    return "".join(column[0] if len(set(column)) == 1 else value_range(column) for column in columns)


def value_range(values: Sequence[str]) -> str:
    """Return the first and the last of several numbers, `2…5`, if they only grow or only shrink; otherwise `…`."""
    try:
        numbers = [float(value) for value in values]
    except ValueError:
        return "…"
    return f"{values[0]}…{values[-1]}" if numbers in (sorted(numbers), sorted(numbers)[::-1]) else "…"


def changed_lines(graph: Graph, part: Part) -> tuple[str, ...]:
    """Return what differs among the copies of a part: `mul 1…0.93`, `receives 64…224 channels`."""
    rows = {name: value_range([f"{value:.4g}" for value in row]) for name, row in changes(graph, part).items()}
    return tuple(f"{name} {text}" + " channels" * (name == "receives") for name, text in rows.items())


def run_name(part: Part, between: str, around: str = "") -> str:
    """Return the path of a part within the scope `around`; for a run the first and last path, a long last one cut."""
    first, last = (path.removeprefix(f"{around}.") for path in (part.path, part.last))
    if part.path == part.last:
        return first
    return f"{first}{between}{last if len(first) < _LONG_PATH else last.rpartition('.')[2]}"


def part_name(graph: Graph, part: Part) -> str:
    """Return the block that a part calls, with the arguments if they are the same for all copies."""
    names = list(dict.fromkeys(block_name(graph, scope) for scope in scopes(graph, part)))
    return names[0] if len(names) == 1 else f"{names[0].split('(')[0]}(...)" if names else ""


def part_call(graph: Graph, part: Part) -> str:
    """Return the label or the call of a part in a drawing, `bottleneck(w=64)`: names before values.

    Arguments that differ among the copies are left out; `changed_lines` says what they change.
    """
    if label := part_label(graph, part):
        return label
    name, arguments = part_arguments(graph, part)
    return f"{name}({', '.join(arguments)})" if arguments else name


def part_arguments(graph: Graph, part: Part) -> tuple[str, tuple[str, ...]]:
    """Return the name of the block that a part calls, and the arguments that all copies share: `w=64`."""
    name, rows = "", list[dict[str, str]]()
    for scope in scopes(graph, part):
        name, bracket, inside = block_name(graph, scope).partition("(")
        positional = iter(scope.args)
        words = _ARGUMENT.findall(inside.removesuffix(")")) if scope.block is not None else []
        named = (word if _NAMED.match(word) else f"{next(positional, '')}={word}" for word in words)
        rows.append(dict(word.split("=", 1) for word in named))
        name = name if scope.block is not None else name + bracket + inside
    shared = {word: value for word, value in rows[0].items() if all(row.get(word) == value for row in rows)}
    return name, tuple(f"{word}={value}" for word, value in shared.items())


def part_label(graph: Graph, part: Part) -> str:
    """Return the label of the copies of a part, with ranges for numbers that differ; empty without one."""
    labels = [scope.label for scope in scopes(graph, part)]
    return common_text(labels) if all(labels) else ""


def composite_words(graph: Graph, scope: Scope) -> str:
    """Return a description of a composite that is not a block: `dense block, 6 layers`, `4 branches`."""
    if scope.kind == "dense":
        # Each layer has one concat; a layer of one node is no scope.
        layers = sum(isinstance(graph.nodes[member].op, Concat) for member in scope.members if isinstance(member, int))
        return f"dense block, {layers} layer{'s' if layers != 1 else ''}"
    if scope.kind == "branches":
        # The merge's inputs are counted, since a branch of one node, or of none, is no scope.
        merged = [len(graph.nodes[member].inputs) for member in scope.members if isinstance(member, int)]
        return f"{max(merged, default=1)} branches"
    return scope.kind


def block_name(graph: Graph, scope: Scope) -> str:
    """Return the call of a block with names, `bottleneck(w=128, s=2)`, or the kind of a composite."""
    if scope.again:
        around = f"{scope.parent.named.path}." if scope.parent is not None else ""
        return escape_control(f"{Again.name} {scope.again.removeprefix(around)}")
    if scope.block is None:
        return _composite_name(graph, scope)
    call = graph.nodes[scope.first].origin.call if scope.first < scope.end else None
    while call is not None and (call.path != scope.path or call.text.split("(")[0] != scope.block):
        call = call.parent
    return escape_control(call.text.removesuffix("()") if call is not None else scope.block)


def _composite_name(graph: Graph, scope: Scope) -> str:
    if not is_block(scope):
        return ""
    if scope.label:
        return scope.label
    layers = [member for member in scope.members if isinstance(member, Scope)]
    if scope.kind == "dense" and layers:
        layer = block_name(graph, layers[0]) if layers[0].block else "layer"
        return f"dense {len(layers)} * {layer}"
    return scope.kind


def kind_of(node: Node) -> str:
    """Return the op's name in the language: `dwconv` for a convolution with one group per channel."""
    return _name_and_fields(node.op, node.in_shapes)[0]


def _name_and_fields(op: Op, inputs: Sequence[Shape]) -> tuple[str, dict[str, Any]]:
    fields = op.explicit()
    if not op.inference:
        fields |= {name: getattr(op, name) for name in op.positional}
    if type(op) is Conv and inputs and inputs[0] and op.groups > 1 and op.groups == at(inputs[0][0]):
        multiplier = op.out // op.groups
        fields = {k: v for k, v in fields.items() if k not in ("out", "groups")}
        return "dwconv", fields | ({"multiplier": multiplier} if multiplier > 1 else {})
    return op.name, fields


def sizes_text(sizes: Sequence[int]) -> str:
    """Return `3x3` for a window."""
    return "x".join(map(str, sizes))


def _spec_text(name: str, value: Any) -> str:
    """A value as a spec has it, where only a window and a stride may be `1x2`: `dilation=[1,2]`, but `dilation=2`."""
    return field_text(uniform(value) if name in _PER_AXIS and isinstance(value, tuple) else value)


def value_text(name: str, value: Any, times: str = "x") -> str:
    """Return the value of the field `name` for readers: `1x2` for axes, but `[1,2]` for the two sides of a signal."""
    return in_short(value, times) if name in _PER_AXIS and isinstance(value, tuple) else field_text(value)


def field_text(value: Any) -> str:
    """Return a field's value as text: `...` for a long value."""
    if isinstance(value, bool) or value is None:
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, tuple | list):
        text = "[" + ",".join(map(field_text, value)) + "]"
    else:
        text = str(value)
    return text if len(text) <= _MAX_VALUE else "..."
