"""The same network written in a roundabout way: dead nodes, conditions that hold, parts in a base file or in a variant.

A network is drawn plain first; what is done to its text here must not change its graph. That is the oracle for `when`,
`extends` and `variants`: what they mean needs no second implementation.
"""

from __future__ import annotations

import copy
import random
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from tests.search.networks.layers import layered
from tests.search.networks.reference import HEADS
from tests.search.networks.text import dumped, spelt

FALSE: tuple[Any, ...] = (False, "k > 90", "not (k > 0)", "k == 99 and flag", "len(n) > 5", "1 > 2", "[0, 1][0] == 1")
TRUE: tuple[Any, ...] = (True, "k > 0", "len(rows) == 2", "not (k > 90)", "1 < 2", "k > 0 or flag")


@dataclass(frozen=True)
class Disguise:
    """Files by name, and the SPEC to open in their folder."""

    files: Mapping[str, str]
    spec: str

    def __str__(self) -> str:
        return "\n".join([f"# {self.spec}", *(f"--- # {name}\n{text}" for name, text in self.files.items())])


def disguised(doc: Mapping[str, Any], seed: int | str, variant: Mapping[str, Any] = {}) -> Disguise:
    """The network of the data, with `variant` applied to its arguments."""
    rng = random.Random(f"disguise {seed}")
    hidden = Hidden(rng, copy.deepcopy({k: v for k, v in doc.items() if k != "variants"})).written()
    hidden["args"] = {**hidden.get("args", {}), **variant}
    files, spec = layered(hidden, rng, rng.choice([0, 1, 1, 2, 3]))
    return Disguise({name: dumped(spelt(data, rng), rng) for name, data in files.items()}, spec)


def is_sequence(data: Any) -> bool:
    return isinstance(data, list) or (isinstance(data, dict) and not any(head in data for head in HEADS))


class Hidden:
    """Puts dead nodes and conditions into the data of a document, in place."""

    def __init__(self, rng: random.Random, doc: dict[str, Any]) -> None:
        self.rng, self.doc, self.number = rng, doc, 0
        self.density = rng.choice([4, 10, 25])
        """Per cent of the places that are changed."""
        self.stages: dict[str, Any] = {}
        """Blocks that hold sequences of the net."""

    def written(self) -> dict[str, Any]:
        doc, blocks = self.doc, dict(self.doc.get("blocks", {}))
        doc["net"] = self.node(doc["net"])
        doc["blocks"] = {head: self.node(body) for head, body in blocks.items()} | self.stages
        for head in doc.get("aux", {}).values():
            head["do"] = self.node(head["do"])
        if self.chance(self.density) and isinstance(doc["net"], dict):
            names = [n for n in doc["net"] if str(n).isidentifier() and not n.startswith("_")]
            if names and is_sequence(doc["net"]):
                dead = {"from": self.rng.choice(names), "do": self.dead(), "weight": 0.25}
                if is_single(doc["net"][dead["from"]]):
                    doc.setdefault("aux", {})[self.key()] = dead
        return doc

    def chance(self, percent: int) -> bool:
        return self.rng.randrange(100) < percent

    def key(self) -> str:
        self.number += 1
        return f"off{self.number}"

    # --- places ------------------------------------------------------------------------------------------

    def node(self, data: Any) -> Any:
        if is_sequence(data):
            return self.sequence(data)
        for head in ("inception", "branches"):
            if head in data:
                data[head] = self.branches(data[head])
        for part in ("do", "residual", "dense", "then", "shortcut"):
            if isinstance(data.get(part), (dict, list)):
                data[part] = self.node(data[part])
        composite = any(head in data for head in ("residual", "inception", "branches", "dense"))
        opened = composite or ("do" in data and is_sequence(data["do"]))  # `then` makes another name of a single op
        if opened and "then" not in data and self.chance(self.density):
            data["then"] = self.dead()
        if "when" not in data and self.chance(self.density):
            data["when"] = self.rng.choice(TRUE)
        return data

    def branches(self, data: Any) -> Any:
        dead = [self.dead()] if self.chance(2 * self.density) else []
        if isinstance(data, list):
            out = [self.node(item) for item in data]
            for node in dead:
                out.insert(self.rng.randrange(len(out) + 1), node)
            return out
        return self.inserted({key: self.node(item) for key, item in data.items()}, dead)

    def inserted(self, data: dict[str, Any], nodes: list[Any]) -> dict[str, Any]:
        items = list(data.items())
        for node in nodes:
            items.insert(self.rng.randrange(len(items) + 1), (self.key(), node))
        return dict(items)

    def sequence(self, data: Any) -> Any:
        if isinstance(data, list):
            out: list[Any] = []
            for item in data:
                out += [self.dead()] if self.chance(self.density) else []
                out.append(self.stage(self.node(item)))
            return out + ([self.dead()] if self.chance(self.density) else [])
        return dict(self.entries(data))

    def entries(self, data: dict[str, Any]) -> Iterator[tuple[str, Any]]:
        """The nodes of a mapping. Dead ones stand for what they would read: later nodes read it by their names."""
        stands_for: dict[str, str] = {}
        merge, before = "", ""
        for key, item in data.items():
            if self.chance(self.density):
                dead = self.key()
                if is_single(data.get(before)):
                    stands_for[before] = dead
                yield dead, self.dead()
            plain = isinstance(item, dict) and not is_sequence(item) and "from" not in item
            if plain and is_single(data.get(before)) and self.chance(self.density):
                item = {**item, "from": before}  # the inputs of a merge stand for it: the next node names one
                merge, other = self.key(), merge or before
                yield merge, {"op": "add", "from": [other, before], "when": self.rng.choice(FALSE)}
                yield self.key(), self.dead() | {"from": merge}
            source = item.get("from") if isinstance(item, dict) and not is_sequence(item) else None
            if isinstance(source, str) and self.chance(3 * self.density):
                dead = self.key()
                yield dead, self.dead() | {"from": source}
                item = {**item, "from": dead}
                if self.chance(50):
                    del item["from"]  # what a left-out node reads stands for it, also where nothing names it
            elif isinstance(source, list):
                item = {**item, "from": [stands_for.get(s, s) if self.chance(70) else s for s in source]}
            yield key, self.stage(self.node(item))
            before = key
        if self.chance(self.density):
            yield self.key(), self.dead()

    def stage(self, data: Any) -> Any:
        """A call of a block that holds the sequence, if it reads nothing but its input and arguments of the file."""
        hidden = isinstance(data, dict) and is_sequence(data) and self.chance(5 * self.density)
        if not hidden or not self_contained(data):
            return data
        self.number += 1
        name = f"stage{self.number}"
        head, call = self.rng.choice([(f"{name}", name), (f"{name}(on=k > 0, w=2)", f"{name}(w=k)")])
        if call != name:
            condition = self.rng.choice(["on and w < 0", "not on", "w == 99"])
            data = self.inserted(data, [self.dead() | {"when": condition}])
        self.stages[head] = data
        return {"call": call}

    # --- nodes -------------------------------------------------------------------------------------------

    def dead(self) -> dict[str, Any]:
        """A node that its condition leaves out, whatever else it says."""
        forms: list[Callable[[], dict[str, Any]]] = [
            lambda: {"op": self.rng.choice(["relu", "gap", "flatten", "dropout", "identity", "ln"])},
            lambda: {"op": "conv", "out": self.rng.choice([1, 7, "k", "2*k"]), "kernel": self.rng.choice([1, 3, 99])},
            lambda: {"op": "maxpool", "kernel": 40},
            lambda: {"op": "fc", "out": 3, "act": "relu"},
            lambda: {"op": "pad", "pixels": -60},
            lambda: {"op": "upsample", "like": "nowhere", "mode": "linear"},
            lambda: {"residual": {"conv": {"op": "conv", "out": 5, "kernel": 3, "stride": 2}}, "shortcut": "none"},
            lambda: {"inception": {"a": {"op": "gap"}, "b": {"op": "relu"}}},
            lambda: {"dense": {"op": "conv", "out": 2, "kernel": 3}, "repeat": 2},
            lambda: {"do": {"a": {"op": "gap"}, "b": {"op": "conv", "out": 3, "kernel": 5, "pad": "valid"}}},
            lambda: {"op": "bn", "repeat": self.rng.choice([0, 2, "n[1]"])},
            lambda: {"op": "split", "parts": 2},
        ]
        return {**self.rng.choice(forms)(), "when": self.rng.choice(FALSE)}


def self_contained(data: dict[str, Any]) -> bool:
    """Whether nothing in a sequence reads nodes or names around it."""
    inside = set(keys_of(data))
    for reads, text in texts_of(data):
        if reads and text.split(".")[0] not in inside:
            return False
        if not reads and re.search(r"\b(i|first|last|c|s|a|e|input)\b", text):
            return False
    return True


def keys_of(data: Any) -> Iterator[str]:
    for key, item in data.items() if isinstance(data, dict) else ((None, item) for item in data):
        yield from [] if key is None else [key]
        yield from keys_of(item) if isinstance(item, (dict, list)) else ()


def texts_of(data: Any, reads: bool = False) -> Iterator[tuple[bool, str]]:
    """Every string, and whether it names a node to read."""
    if isinstance(data, str):
        yield reads, data
    elif isinstance(data, dict):
        for key, item in data.items():
            yield from texts_of(item, key in ("from", "node", "like"))
    elif isinstance(data, list):
        for item in data:
            yield from texts_of(item, reads)


def is_single(item: Any) -> bool:
    """Whether the name of such a node stands for its value, whatever `when` says."""
    if item is None:
        return False
    if is_sequence(item):
        return True
    return item.get("op") not in ("split", "again") and "when" not in item


__all__ = ["Disguise", "disguised"]
