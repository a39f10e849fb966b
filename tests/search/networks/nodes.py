"""Draws merges, calls and composites, whose bodies are sequences or single ops."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

from tests.search.networks.kinds import axes_of
from tests.search.networks.leaves import NEVER_KEEP, SPATIAL, VECTOR, leaf
from tests.search.networks.reference import Frame, Machine, Member

Drawn = tuple[Any, Member | None]
LAYOUTS = ("ln", "ln", "ln", "gn", "instancenorm", "softmax", "fc", "lrn", "shuffle", "bn", "prelu")
"""Ops that a runtime may compute in another layout, or between transposes."""
MOVES = ("pad", "pad", "pad", "maxpool", "avgpool", "upsample", "slice", "flatten", "gap", "act", "identity", "dropout")
PLAIN = (
    "act",
    "dropout",
    "dropout",
    "droppath",
    "identity",
    "softmax",
    "lrn",
    "affine",
    "shuffle",
    "pad",
    "slice",
    "upsample",
)
PLAIN += ("maxpool", "avgpool", "gap", "flatten")
"""Ops without tensors."""


def visible(frame: Frame | None) -> dict[str, Any]:
    """The values that a node can read, by name."""
    seen: dict[str, Any] = {}
    while frame is not None:
        for name, member in frame.names.items():
            if member.value is not None:
                seen.setdefault(name, member.value)
                inner = {} if name.startswith("_") else member.inner
                for deeper, inside in inner.items():
                    if inside.value is not None and deeper.isidentifier() and not deeper.startswith("_"):
                        seen.setdefault(f"{name}.{deeper}", inside.value)
        frame = frame.parent
    return seen


def gates(shape: Any, full: Any) -> bool:
    """Whether a tensor of the one shape multiplies one of the other: on each axis the same size, or 1."""
    return len(shape) == len(full) and all(a in (1, b) for a, b in zip(shape[1:], full[1:], strict=True))


class Nodes:
    """The part of `make.Maker` that draws nodes which hold others."""

    rng: random.Random
    doc: dict[str, Any]
    number: int
    machine: Machine

    def chance(self, percent: int) -> bool:
        return self.rng.randrange(100) < percent

    def sequence(
        self, x: Any, env: Mapping[str, Any], parent: Frame, depth: int, keep: bool = False, as_list: bool | None = None
    ) -> Drawn:
        raise NotImplementedError

    def key(self, data: Any) -> str:
        raise NotImplementedError

    def tried(self, data: Any, x: Any, env: Mapping[str, Any], frame: Frame) -> Member | None:
        raise NotImplementedError

    def body(
        self,
        x: Any,
        env: Mapping[str, Any],
        frame: Frame,
        depth: int,
        keep: bool = False,
        as_list: bool | None = None,
        named: bool = False,
    ) -> Drawn:
        """What a composite holds: a sequence, or one op, which has tensors only where it has a name."""
        if not self.chance(25):
            return self.sequence(x, env, frame, depth, keep, as_list)
        table = SPATIAL if axes_of(x) else VECTOR
        plain = [kind for kind in PLAIN if kind in table and not (keep and kind in NEVER_KEEP)]
        kind = None if named and self.chance(25) else self.rng.choice(plain)
        node = leaf(self.rng, x, env, keep, "act0", kind)
        node = node if kind is None else {key: value for key, value in node.items() if key not in ("norm", "act")}
        return node, self.tried(node, x, env, frame)

    def merge(self, frame: Frame, x: Any) -> Any:
        """Two or three visible values that fit."""
        seen = visible(frame)
        kind = self.rng.choice(["add", "mul", "concat", "add", "mul", "concat", "sub", "maximum", "minimum"])
        spread = kind == "mul" or (kind != "concat" and self.chance(40))
        if kind == "concat":
            fitting = [n for n, v in seen.items() if v.dim() == x.dim() and v.shape[2:] == x.shape[2:]]
        else:
            fitting = [n for n, v in seen.items() if v.shape == x.shape or (spread and gates(v.shape, x.shape))]
        if not fitting:
            return None
        count = 2 if kind == "sub" else self.rng.choice([2, 2, 3])
        node: dict[str, Any] = {"op": kind, "from": [self.rng.choice(fitting) for _ in range(count)]}
        node |= {"broadcast": True} if spread and kind != "mul" else {}
        return node | ({"act": "relu"} if self.chance(20) else {})

    def gate(self) -> dict[str, Any]:
        """A gate for each channel, each pixel, or both, with values from 0 to 1."""
        pool: dict[str, Any] = self.rng.choice(
            [
                {"op": "gap"},
                {"op": "gmp"},
                {"op": "max", "over": "space"},
                {"op": "mean", "over": "channels"},
                {"op": "relu"},
            ]
        )
        name, self.number = f"pool{self.number}", self.number + 1
        conv = {"op": "conv", "out": "in", "kernel": 1, "norm": "none", "act": "sigmoid"}
        return {name: pool, f"conv{self.number}": conv}

    def like(self, data: dict[str, Any], x: Any, frame: Frame | None, keep: bool) -> dict[str, Any]:
        """The same op, perhaps with the sizes of a visible value instead of a factor or numbers."""
        sizes = [
            n for n, v in visible(frame).items() if v.dim() == x.dim() and (not keep or v.shape[2:] == x.shape[2:])
        ]
        if not sizes or not axes_of(x) or not self.chance(60):
            return data
        numbers = ("scale", "pixels", "before", "after")
        return {k: v for k, v in data.items() if k not in numbers} | {"like": self.rng.choice(sizes)}

    def call(self, env: Mapping[str, Any], frame: Frame) -> Any:
        head = self.rng.choice(list(self.doc["blocks"]))
        name, several = head.split("(")[0], "<-" in head
        width = self.rng.choice(
            ["4", "k", "c=k + 1", "2*k", "c=3", *(["", "c=in"] if "c=" in head else []), *(["c"] if "c" in env else [])]
        )
        if "s=1" in head and width and "=" not in width:
            width += self.rng.choice(["", ", s=2", ", s=1"])
        elif width == "k" and ", " not in head and self.chance(50):
            width = "rows[1][0]"
        node: dict[str, Any] = {"call": f"{name}({width})" if width else name}
        if several:
            names = [n for n, m in frame.names.items() if m.value is not None]
            if not names:
                return None
            node["from"] = [self.rng.choice(names), self.rng.choice([*names, "input"])]
        elif ", e=" in head and self.chance(20) and "s=" not in head:
            return {"call": f"{name}(*rows[i])", "repeat": "len(rows)"}
        return node

    def then(self) -> dict[str, Any]:
        if not self.chance(30):
            return {}
        self.number += 1
        choices: list[Any] = [{"op": "relu"}, {"op": "tanh"}, {"call": "act0"}, {f"post{self.number}": {"op": "bn"}}]
        choices += [{"op": self.rng.choice(["dropout", "droppath", "identity", "softmax", "flatten", "gap"])}]
        return {"then": self.rng.choice(choices)}

    def residual(self, x: Any, env: Mapping[str, Any], frame: Frame, depth: int, keep: bool) -> Any:
        body, made = self.body(x, env, frame, depth, keep)
        if made is None or made.value is None:
            return None
        node: dict[str, Any] = {"residual": body}
        if self.chance(25):
            node["scale"] = self.rng.choice([0.5, 1, "p0", "1/4", "1/in", 0.3])
        short = self.rng.randrange(8)
        if short < 2:
            node["shortcut"] = [self.rng.choice(["none", "if_same_shape", "project"]), "pad"][short]
        elif short == 2 and axes_of(made.value) == axes_of(x) > 0:
            self.number += 1
            stride = [max(1, -(-(a - 1) // b)) for a, b in zip(x.shape[2:], made.value.shape[2:], strict=True)]
            projection = {"op": "conv", "out": made.value.shape[1], "kernel": 1, "stride": stride}
            node["shortcut"] = {f"conv{self.number}s": projection}
        return node | self.then()

    def branches(self, x: Any, env: Mapping[str, Any], frame: Frame, depth: int, keep: bool) -> Any:
        kinds = ["concat"] * 4 + ["add", "mul"] * 2 + ["sub", "div", "maximum", "minimum"]
        count, merge = self.rng.choice([2, 2, 3]), self.rng.choice(kinds)
        count = 2 if merge in ("sub", "div") else count
        split = x.shape[1] % count == 0 and x.shape[1] > count and self.chance(25)
        source = x[:, : x.shape[1] // count] if split else x
        named = self.chance(60)
        entries: dict[str, Any] = {}
        for number in range(count):
            self.number += 1
            key = f"branch{self.number}"
            if merge == "div" and number == 1:  # from 1 to 3: a divisor near 0 overflows
                positive = {f"tanh{self.number}": {"op": "tanh"}, f"plus{self.number}": {"op": "affine", "add": 2}}
                entries[key] = (self.gate() if axes_of(x) and not split else {}) | positive
                continue
            if number == 1 and self.chance(25) and not split:
                entries[key] = {"op": self.rng.choice(["identity", "relu"])}
                continue
            if merge == "mul" and number == 1 and not split and axes_of(x):
                entries[key] = self.gate()
                continue
            body, made = self.body(source, env, frame, depth, True, None if named else False, named)
            if made is None or made.value is None:
                return None
            if "op" in body and merge != "concat" and made.value.shape != source.shape:
                return None
            if merge != "concat" and made.value.shape != source.shape and isinstance(body, dict):
                kind = (
                    {"op": "conv", "out": source.shape[1], "kernel": 1, "act": "none"}
                    if axes_of(x)
                    else {"op": "fc", "out": source.shape[1]}
                )
                self.number += 1
                body[f"conv{self.number}"] = kind
            entries[key] = body
        head = "inception" if merge == "concat" and self.chance(60) else "branches"
        node: dict[str, Any] = {head: entries if named else list(entries.values())}
        if merge != "concat" or self.chance(20):
            node["merge"] = merge
        if split:
            node["split"] = self.rng.choice([count, f"n[{count - 1}]", f"{count * 2}//2"])
        return node | self.then()

    def dense(self, x: Any, env: Mapping[str, Any], frame: Frame, depth: int, keep: bool) -> Any:
        self.number += 1
        if axes_of(x) and self.chance(60):
            layer: Any = {"op": "conv", "out": self.rng.choice([2, 3, "k", "i + 2"]), "kernel": 3}
        else:
            layer, made = self.body(x, env, frame, 0, keep=True, as_list=False, named=True)
            if made is None or made.value is None:
                return None
        node: dict[str, Any] = {"dense": layer, "repeat": self.rng.choice([1, 2, "n[1]", 3])}
        return node | ({"as": f"conv{self.number}-{{1}}"} if self.chance(50) else {}) | self.then()

    def do(self, x: Any, env: Mapping[str, Any], frame: Frame, depth: int, keep: bool) -> Any:
        body, made = self.body(x, env, frame, depth, keep, as_list=False)
        return None if made is None or made.value is None else {"do": body} | self.then()

    def between(self, x: Any, env: Mapping[str, Any], frame: Frame, depth: int, keep: bool) -> Any:
        """Ops that move values between two that a runtime may compute in another layout."""
        first = self.rng.choice(LAYOUTS)
        last = first if self.chance(60) else self.rng.choice(LAYOUTS)
        body: dict[str, Any] = {}
        for kind in (first, *self.rng.choices(MOVES, k=self.rng.choice([1, 1, 1, 2])), last):
            node = leaf(self.rng, x, env, keep, "act0", kind)
            if self.chance(70):
                node = {key: value for key, value in node.items() if key not in ("norm", "act")}
            made = self.tried(node, x, env, frame)
            if made is not None and made.value is not None:
                body[self.key(node)], x = node, made.value
        return (list(body.values()) if self.chance(50) else body) or None

    def nested(self, x: Any, env: Mapping[str, Any], frame: Frame, depth: int, keep: bool) -> Any:
        body, made = self.sequence(x, env, frame, depth, keep)
        return None if made is None else body
