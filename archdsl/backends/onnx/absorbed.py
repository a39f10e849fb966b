"""The metadata entry `folded` of an ONNX file: which nodes were folded into each layer, as a short JSON object.

A layer with folded nodes has its tensors under names with a slash, `layer1.0.conv1/weight`. A key of the object is the
last name of such layers, or a slash and the whole path of one layer, which takes precedence. The value lists the nodes
folded into the layer, in order: names in the layer's own scope, or a slash and a whole path. `{"conv1": "bn1",
"/head.fc": "/norm"}`: `bn1` is folded into the `conv1` beside it everywhere, and `norm` into `head.fc`.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping


def write(absorbed: Mapping[str, Iterable[str]]) -> str:
    """Return the entry for the paths of the nodes folded into each layer, by its path; "" if nothing is folded."""
    texts = {layer: " ".join(_short(layer, path) for path in paths) for layer, paths in absorbed.items()}
    votes: dict[str, Counter[str]] = {}
    for layer, text in texts.items():
        votes.setdefault(_last(layer), Counter())[text] += 1
    rules = {name: counter.most_common(1)[0][0] for name, counter in votes.items()}
    exceptions = {f"/{layer}": text for layer, text in texts.items() if text != rules[_last(layer)]}
    entry = {**{name: text for name, text in rules.items() if text}, **exceptions}
    return json.dumps(entry, separators=(",", ":"), ensure_ascii=False) if any(texts.values()) else ""


def read(text: str, layers: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Return the paths of the nodes folded into each layer, by its path, from an entry; "" is an absent entry.

    Raises ValueError for a text that `write` does not produce.
    """
    try:
        rules = json.loads(text or "{}")
    except RecursionError:
        raise ValueError("nested too deeply") from None
    if not isinstance(rules, dict) or not all(isinstance(value, str) for value in rules.values()):
        raise ValueError("not an object of strings")
    known: dict[str, str] = rules
    texts = {layer: known.get(f"/{layer}", known.get(_last(layer), "")) for layer in layers}
    return {layer: tuple(_long(layer, name) for name in names.split()) for layer, names in texts.items()}


def _last(path: str) -> str:
    return path.rpartition(".")[2]


def _short(layer: str, path: str) -> str:
    before, _, last = path.rpartition(".")
    return last if before == layer.rpartition(".")[0] and "/" not in path else f"/{path}"


def _long(layer: str, name: str) -> str:
    before = layer.rpartition(".")[0]
    return name[1:] if name.startswith("/") else f"{before}.{name}" if before else name
