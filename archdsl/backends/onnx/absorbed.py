"""The fold map: which nodes each layer of a file took in, as short as names allow, in the file's metadata under
`folded`.

A layer that took others in has its tensors under names with a slash, `layer1.0.conv1/weight`. The map is a JSON object.
A key is the last name of such layers, or behind a slash the whole path of one, which goes first; its value says what
they took in, before it and behind it, in order: names beside the layer, or whole paths behind a slash. `{"conv1":
"bn1", "/head.fc": "/norm"}`: every `conv1` took in the `bn1` beside it, `head.fc` took in `norm`.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping


def write(taken: Mapping[str, Iterable[str]]) -> str:
    """The map of what each layer took in, both by their paths; "" where none took in anything."""
    said = {layer: " ".join(_short(layer, path) for path in paths) for layer, paths in taken.items()}
    votes: dict[str, Counter[str]] = {}
    for layer, text in said.items():
        votes.setdefault(_last(layer), Counter())[text] += 1
    rules = {name: counter.most_common(1)[0][0] for name, counter in votes.items()}
    others = {f"/{layer}": text for layer, text in said.items() if text != rules[_last(layer)]}
    found = {**{name: text for name, text in rules.items() if text}, **others}
    return json.dumps(found, separators=(",", ":"), ensure_ascii=False) if any(said.values()) else ""


def read(text: str, layers: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """What each of the layers took in, by their paths; nothing where there is no map, "". Raises ValueError."""
    try:
        rules = json.loads(text or "{}")
    except RecursionError:
        raise ValueError("too deep") from None
    if not isinstance(rules, dict) or not all(isinstance(said, str) for said in rules.values()):
        raise ValueError("not an object of texts")
    known: dict[str, str] = rules
    said = {layer: known.get(f"/{layer}", known.get(_last(layer), "")) for layer in layers}
    return {layer: tuple(_long(layer, name) for name in names.split()) for layer, names in said.items()}


def _last(path: str) -> str:
    return path.rpartition(".")[2]


def _short(layer: str, path: str) -> str:
    before, _, last = path.rpartition(".")
    return last if before == layer.rpartition(".")[0] and "/" not in path else f"/{path}"


def _long(layer: str, name: str) -> str:
    before = layer.rpartition(".")[0]
    return name[1:] if name.startswith("/") else f"{before}.{name}" if before else name
