"""Answers top-level keys and sections in another notation: input shapes, labels, blocks."""

from __future__ import annotations

import re

from archdsl.language.keys import KEYS_ELSEWHERE
from archdsl.source import Entry, Map, Scalar, Seq, Tree

_SHAPE = re.compile(
    r"(?:Input|InputLayer|shape|input_shape|batch_shape|keras|layers|tf|torch\.Size|[\s.=,;*xX()\[\]{}])*"
)
_SIZE = re.compile(r"\d+|None|-1|\?")
_AXES = ("channels channel c in_channels depth", "height h size image_size rows", "width w size image_size cols")


def input_help(text: str) -> str:
    """Return `write ...` for an input shape such as `(224, 224, 3)`, `3*224*224` or `Input(shape=(784,))`."""
    text, times = re.subn("\N{MULTIPLICATION SIGN}", "x", re.sub(r"\s//.*", "", text.strip()))
    sizes, note = _SIZE.findall(text), ""
    if not _SHAPE.fullmatch(_SIZE.sub("", text)):
        return ""
    if len(sizes) > 1 and (not sizes[0].isdigit() or (len(sizes) == 4 and sizes[0] == "1")):
        small = ("1", "3", "4")
        image = not sizes[0].isdigit() or sizes[1] in small or sizes[-1] in small
        sizes, note = sizes[1:], ", without the batch"
        if not image:
            note += ", if the first number is the batch; volumes are not part of the language"
    if not 1 <= len(sizes) <= 3 or not all(size.isdigit() for size in sizes):
        return ""
    if len(sizes) == 3 and sizes[2] in ("1", "3", "4") and sizes[0] not in ("1", "3", "4"):
        sizes, note = [sizes[2], *sizes[:2]], "; the channels come first"
    if len(sizes) == 2:
        sizes, note = ["1", *sizes], ", or another number of channels than 1"
    note += "; `\N{MULTIPLICATION SIGN}` is U+00D7, MULTIPLICATION SIGN" if times else ""
    return f"write `{'x'.join(sizes)}`{note}"


def input_of_fields(tree: Map) -> str:
    """Return `write ...` for `{channels: 3, height: 224, width: 224}`; empty if these are names of several inputs."""
    sizes = [next((tree.get(name) for name in names.split() if name in tree.entries), None) for names in _AXES]
    known = [size.text for size in sizes if isinstance(size, Scalar) and type(size.value) is int]
    return f"write `{'x'.join(known)}`" if len(known) == len(_AXES) else ""


def key_help(name: str, entry: Entry) -> str:
    """Return `write ...` for a top-level key that is not ours; empty if a similar word is all that is known."""
    text = entry.value.span.text
    if KEYS_ELSEWHERE.get(name.lower()) == "input":
        return input_help(text).replace("`", "`input: ", 1)
    if name in ("classes", "num_classes", "nc", "n_classes") and text.isdigit():
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
