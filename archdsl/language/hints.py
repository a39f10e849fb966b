"""What was probably meant where a word is no kind: a name of another framework, a block, a slip of the keyboard."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Sequence

from archdsl.diagnostics import closest, did_you_mean
from archdsl.ops import OPS_BY_NAME

ELSEWHERE = {name: op.name for op in OPS_BY_NAME.values() for name in op.elsewhere.split()}
"""Names that PyTorch, Keras, Caffe and ONNX have for our kinds, in lower case without `_`."""

FIELDS_ELSEWHERE = {
    "out": "filters channels out_channels units features out_features width",
    "kernel": "kernel_size ksize size window pool_size",
    "stride": "strides",
    "pad": "padding",
    "dilation": "dilation_rate dilations",
    "bias": "use_bias",
    "eps": "epsilon",
    "p": "rate prob drop_rate drop_prob",
    "slope": "negative_slope alpha",
    "groups": "num_groups group",
    "scale": "scale_factor",
}
_BEHIND = ("plain", "bias", "nobias", "valid", "same", "ceil", "inside", "adaptive")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_LOOKALIKE = {
    "\N{MULTIPLICATION SIGN}": "x",
    "\N{FULLWIDTH COLON}": ":",
    "\N{MINUS SIGN}": "-",
    "\N{NO-BREAK SPACE}": " ",
}


def meant(name: str, blocks: Collection[str] = ()) -> str:
    """`did you mean ...?` for a word that is neither a kind nor one of the blocks; else where to look."""
    best = ELSEWHERE.get(name.lower().replace("_", "")) or closest(name, [*blocks, *OPS_BY_NAME])
    if best is not None:
        return f"did you mean `{best}`?"
    if name in _BEHIND:
        return f"`{name}` stands behind a kind: `3x3 conv 64 {name}`"
    return "the kinds are " + ", ".join(OPS_BY_NAME)


def field_meant(name: str, known: Collection[str]) -> str:
    """`did you mean ...?` for what is no field of a kind."""
    there = next((field for field, names in FIELDS_ELSEWHERE.items() if name in names.split() and field in known), None)
    return f"did you mean `{there}`?" if there else did_you_mean(name, known)


def hint(name: str, rest: Sequence[str], blocks: Collection[str], window: str = "") -> str:
    """Help for a node that begins with a word, after its window, that is no kind; `rest` are the words behind it."""
    head = name.split("(")[0]
    odd = next((c for c in name if not c.isascii()), "")
    if odd:
        write = f"; write `{_LOOKALIKE[odd]}`" if odd in _LOOKALIKE else ""
        return f"`{odd}` is U+{ord(odd):04X}, {unicodedata.name(odd, 'an unnamed character')}{write}"
    if head in blocks:
        return _block_hint(head, name, rest, window)
    if not _NAME.fullmatch(head):
        return _slip(name, rest)
    said = meant(head, blocks)
    if rest and rest[0] in OPS_BY_NAME and not said.startswith("did"):
        return f"a node begins with its kind, or with a window: `3x3 {rest[0]} ...`"
    return said


def _block_hint(head: str, name: str, rest: Sequence[str], window: str) -> str:
    if window:
        return f"`{head}` is a block, and a block has no window"
    return f"`{head}` is a block; its arguments stand in parentheses: `{head}({', '.join(rest)[:60]})`"


def _slip(head: str, rest: Sequence[str]) -> str:
    if ":" in head:
        return "a `:` needs a blank behind it"
    if head[:1] in ("[", "{"):
        return "a list or mapping is repeated in the long form: `{repeat: 2, do: [...]}`"
    sides = re.fullmatch(r"[(\[]?(\d+)[*,.X](\d+)[)\]]?", head)
    if sides:
        return f"a window is written `{sides[1]}x{sides[2]}`"
    if head.endswith("*"):
        return f"`*` stands between blanks: `{head[:-1]} * ...`"
    if head.isdigit() and rest:
        return f"a window is written `{head}x{head}`, a repeat `{head} * ...`"
    return "a node begins with a kind, e.g. `3x3 conv 64`, or is a call, e.g. `block(64)`"
