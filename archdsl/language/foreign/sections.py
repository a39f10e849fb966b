"""Answers top-level keys and sections in another notation: input shapes, labels, blocks."""

from __future__ import annotations

import re

from archdsl.axes import CHANNELS, KINDS, MOST
from archdsl.language.keys import KEYS_ELSEWHERE
from archdsl.source import Entry, Map, Scalar, Seq, Tree

_SHAPE = re.compile(
    r"(?:Input|InputLayer|shape|input_shape|batch_shape|keras|layers|tf|torch\.Size|[\s.=,;*xX()\[\]{}])*"
)
_SIZE = re.compile(r"\d+|None|-1|\?")
_CHANNELS, _DEPTH = "channels channel c in_channels", "depth d frames slices"
_AXES = {
    "length": "length l samples time width w size",
    "depth": _DEPTH,
    "height": "height h size image_size rows",
    "width": "width w size image_size cols",
}
_FEW = frozenset(map(str, CHANNELS))


def input_help(text: str) -> str:
    """Return `write ...` for an input shape such as `(224, 224, 3)`, `3*224*224` or `Input(shape=(784,))`."""
    text, times = re.subn("\N{MULTIPLICATION SIGN}", "x", re.sub(r"\s//.*", "", text.strip()))
    sizes, note = _SIZE.findall(text), ""
    if not _SHAPE.fullmatch(_SIZE.sub("", text)):
        return ""
    if len(sizes) > 1 and (not sizes[0].isdigit() or (sizes[0] == "1" and _is_batch(sizes[1:]))):
        sizes, note = sizes[1:], ", without the batch"
    if not 1 <= len(sizes) <= 1 + MOST or not all(size.isdigit() for size in sizes):
        return ""
    first, *rest, last = sizes[0], *sizes[1:-1], sizes[-1]
    if rest and last in _FEW and first not in _FEW:
        sizes, note = [last, first, *rest], "; the channels come first"
    elif len(sizes) > 1 and not rest:
        sizes, note = _signal_or_image(first, last)
    note += "; `\N{MULTIPLICATION SIGN}` is U+00D7, MULTIPLICATION SIGN" if times else ""
    return f"write `{'x'.join(sizes)}`{note}"


def _is_batch(sizes: list[str]) -> bool:
    """Whether a first size of 1 is the batch: what follows has channels, or too many sizes for one more."""
    return len(sizes) > MOST or (len(sizes) == MOST and not _FEW.isdisjoint((sizes[0], sizes[-1])))


def _signal_or_image(first: str, last: str) -> tuple[list[str], str]:
    """Two sizes are those of a signal if one is small, the number of its channels."""
    few, many = sorted((int(first), int(last)))
    if few > 32 or many < 4 * few:
        return ["1", first, last], ", or another number of channels than 1"
    return [str(few), str(many)], "; the channels come first" if int(first) == many else ""


def input_of_fields(tree: Map) -> str:
    """Return `write ...` for `{channels: 3, height: 224, width: 224}`; empty if these are names of several inputs."""
    for kind in reversed(KINDS[1:]):
        axes = [_AXES[size] for size in kind.sizes]
        channels = _CHANNELS if _DEPTH in axes else f"{_CHANNELS} depth"
        words = [names.split() for names in (channels, *axes)]
        sizes = [next((tree.get(name) for name in names if name in tree.entries), None) for names in words]
        known = [size.text for size in sizes if isinstance(size, Scalar) and type(size.value) is int]
        if len(known) == len(sizes):
            return f"write `{'x'.join(known)}`"
    return ""


def key_help(name: str, entry: Entry) -> str:
    """Return `write ...` for a top-level key that is not ours; empty if a similar word is all that is known."""
    text = entry.value.span.text
    if KEYS_ELSEWHERE.get(name.lower()) == "input":
        return input_help(text).replace("`", "`input: ", 1)
    if name in ("class", "classes", "num_class", "num_classes", "nc", "n_class", "n_classes") and text.isdigit():
        name = "classes" if name == "class" else name  # `class` is no name of an argument
        return f"write `args: {{{name}: {text}}}`, and `{name}` in the nodes that use it"
    return ""


def labels_help(tree: Tree) -> str:
    """Return `write ...` for labels in one string or by number."""
    if isinstance(tree, Map):
        names = [entry.value.span.text for entry in tree.entries.values()]
    else:
        names = [name.strip() for name in tree.span.text.strip("\"'").split(",")]
    return f"write `[{', '.join(names)}]`" if len(names) < 20 else "write a list, one label per line after `- `"


def blocks_help(tree: Tree) -> str:
    """Return `write ...` for a list of blocks."""
    first = tree.items[0] if isinstance(tree, Seq) and tree.items else None
    if isinstance(first, Map) and "name" in first.entries:
        args, name = first.get("args"), first.entries["name"].value.span.text
        body = next((first.entries[k].value.span.text for k in ("layers", "net", "body") if k in first.entries), "")
        listed = f"({args.span.text.strip('[]')})" if args is not None else ""
        if body and "\n" not in body:
            return f"write `{{{name}{listed}: {body}}}`"
    return "write the name of each block as a key, with its arguments: `basic(w): [3x3 conv w, relu]`"
