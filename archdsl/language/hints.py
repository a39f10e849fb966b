"""Suggestions for a word that is not an op (of another framework, a block, a typing error); the words of a field."""

from __future__ import annotations

import re
import typing
import unicodedata
from collections.abc import Collection, Sequence
from functools import cache
from typing import Any

from archdsl.axes import without_axes
from archdsl.diagnostics import closest, did_you_mean, suggestion
from archdsl.language.keys import HEADS
from archdsl.ops import OPS_BY_NAME
from archdsl.ops.base import Op

ELSEWHERE = {name: op.name for op in OPS_BY_NAME.values() for name in op.elsewhere.split()}
"""Names of ops in PyTorch, Keras, Caffe and ONNX, in lower case without `_` and `2d`."""

FIELDS_ELSEWHERE = {
    "out": "filters channels out_channels units features out_features width num_output nb_filter num_filters f n c",
    "kernel": "kernel_size ksize size window pool_size filt_size k",
    "stride": "strides s",
    "pad": "padding p",
    "dilation": "dilation_rate dilations d",
    "bias": "use_bias bias_term",
    "eps": "epsilon",
    "p": "rate prob drop_rate drop_prob dropout_ratio probability",
    "slope": "negative_slope alpha",
    "groups": "num_groups group g",
    "multiplier": "depth_multiplier",
    "extra": "output_padding",
    "ceil": "ceil_mode",
    "inside": "count_include_pad",
    "scale": "scale_factor upscale_factor downscale_factor block_size size stride",
    "low": "min min_val min_value",
    "high": "max max_val max_value",
    "mode": "interpolation",
    "size": "local_size",
    "act": "activation activation_fn act_fn nonlinearity nonlin",
    "norm": "batchnorm batch_norm batch_normalize batch_normalization bn normalization use_bn",
    "axis": "dim start_dim",
    "in": "in_channels in_features num_features normalized_shape num_channels input_channels input_size in_planes",
}
"""Names of fields in other tools. `in` and `axis` are no fields: an op knows its channels."""
_AFTER_OP = ("plain", "bias", "nobias", "valid", "same", "ceil", "inside", "adaptive")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
LOOKALIKE = {
    "\N{MULTIPLICATION SIGN}": "x",
    "\N{FULLWIDTH COLON}": ":",
    "\N{MINUS SIGN}": "-",
    "\N{EN DASH}": "-",
    "\N{NO-BREAK SPACE}": " ",
}


def op_elsewhere(word: str) -> str:
    """Return the op with a name in another tool, such as `MaxPooling3D`; empty if there is none."""
    name = word.lower().replace("_", "")
    bare, axes = without_axes(name)
    known = bare in OPS_BY_NAME and "kernel" in OPS_BY_NAME[bare].model_fields
    return ELSEWHERE.get(name) or ELSEWHERE.get(bare) or (bare if axes and known else "")


def head_help(head: str) -> str:
    """Return how to write a head word that is written as a call."""
    more = ", repeat: 2" * (head == "dense")
    return f"`{head}` is a key of a mapping, as in `{{{head}: [3x3 conv 64 relu, 3x3 conv 64]{more}}}`"


def suggest_op(name: str, blocks: Collection[str] = ()) -> str:
    """Return `did you mean ...?` for a word that is neither an op nor a block, or else a list of the ops."""
    from archdsl.language.foreign.missing import why_missing

    reason = why_missing(name)
    if reason:
        return reason
    if name in HEADS and name not in OPS_BY_NAME:
        return head_help(name)
    best = op_elsewhere(name) or closest(name, [*blocks, *OPS_BY_NAME])
    if best is not None:
        return suggestion(name, best, [*blocks, *OPS_BY_NAME])
    if name in _AFTER_OP:
        return f"`{name}` goes after an op: `3x3 conv 64 {name}`"
    return "the ops are " + ", ".join(OPS_BY_NAME)


def values_help(op: type[Op], field: str, value: str) -> str:
    """Return how a norm or activation behind another op gets a value."""
    role = f"`{op.role}: {{op: {op.name}, {field}: {value}}}` in the long form"
    return f"for `{op.name}`, write {role}, or `{op.name}: {{{field}: {value}}}` under `defaults`"


def suggest_field(name: str, known: Collection[str], value: str = "...") -> str:
    """Return `did you mean ...?` for an unknown field of an op, or how the norm or activation `name` gets its value."""
    other = OPS_BY_NAME.get(name)
    if other is not None and other.role in known:
        if other.positional and value not in ("true", "True"):
            return values_help(other, other.positional[0], value[:60])
        what = "a norm" if other.role == "norm" else "an activation"
        return f"`{name}` is {what}: write `{name}` alone, or `{other.role}: {name}` in the long form"
    if name == "size" and "like" in known:
        return "`upsample 2` has a factor, and `upsample like=input` resizes to the sizes of another node"
    own = next((field for field, names in FIELDS_ELSEWHERE.items() if name in names.split() and field in known), None)
    return suggestion(name, own, known) if own else did_you_mean(name, known)


def explain_unknown_op(name: str, rest: Sequence[str], blocks: Collection[str], window: str = "") -> str:
    """Return the help for a node whose first word (after its window) is not an op; `rest` are the words after it."""
    head = name.split("(")[0]
    odd = next((c for c in name if not c.isascii()), "")
    if odd:
        write = f"; write `{LOOKALIKE[odd]}`" if odd in LOOKALIKE else ""
        return f"`{odd}` is U+{ord(odd):04X}, {unicodedata.name(odd, 'an unnamed character')}{write}"
    if head in blocks:
        return _block_hint(head, name, rest, window)
    if not _NAME.fullmatch(head):
        return _explain_typing_error(name, rest)
    if name == "x" and window.isdigit():
        return f"`{window} * ...` repeats a node"
    help_ = suggest_op(head, blocks)
    if rest and rest[0] in OPS_BY_NAME and not help_.startswith("did"):
        return f"a node starts with its op or a window: `3x3 {rest[0]} ...`"
    return help_


def _block_hint(head: str, name: str, rest: Sequence[str], window: str) -> str:
    if window:
        repeat = f"; `{window} * {name}` repeats it" if window.isdigit() and not rest else ""
        return f"`{head}` is a block, and blocks have no window{repeat}"
    return f"`{head}` is a block; write its arguments in parentheses: `{head}({', '.join(rest)[:60]})`"


def _explain_typing_error(head: str, rest: Sequence[str]) -> str:
    if ":" in head:
        return "write a space after `:`"
    if head[:1] in ("[", "{"):
        return "to repeat a list or a mapping, write `{repeat: 2, do: [...]}`"
    if head.endswith("*"):
        return f"write spaces around `*`: `{head[:-1]} * ...`"
    return "a node is an op, e.g. `3x3 conv 64`, or a call, e.g. `block(64)`"


@cache
def words_of(op: type[Op], name: str) -> frozenset[str]:
    """Return the words that a field accepts (`same`, `nearest`); they are not names to look up."""
    words: set[str] = set()
    stack: list[Any] = [op.model_fields[name].annotation]
    while stack:
        hint = stack.pop()
        if typing.get_origin(hint) is typing.Literal:
            words |= {w for w in typing.get_args(hint) if isinstance(w, str)}
        else:
            stack += typing.get_args(hint)
    return frozenset(words)
