"""Draws one op that may fit what it receives, with its fields: odd windows, strides, dilations, groups, pads,
constants."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

from tests.ops.cases import KINDS
from tests.search.networks.kinds import axes_of
from tests.search.networks.reference import value_of

SPATIAL = {
    "conv": 22,
    "dwconv": 5,
    "deconv": 5,
    "maxpool": 6,
    "avgpool": 6,
    "gap": 1,
    "subsample": 2,
    "bn": 2,
    "gn": 2,
    "ln": 2,
    "lrn": 3,
    "act": 8,
    "prelu": 2,
    "softmax": 2,
    "dropout": 1,
    "droppath": 1,
    "flatten": 1,
    "slice": 2,
    "shuffle": 3,
    "upsample": 3,
    "pad": 4,
    "identity": 1,
    "scale": 2,
    "offset": 2,
    "affine": 3,
    "fc": 2,
    "constant": 2,
    "table": 2,
    **{kind: row.image for kind, row in KINDS.items() if row.image},
}
"""How often each op is drawn for signals, images and volumes."""
VECTOR = {
    "fc": 10,
    "bn": 2,
    "gn": 2,
    "ln": 2,
    "act": 5,
    "prelu": 2,
    "softmax": 1,
    "dropout": 1,
    "droppath": 1,
    "slice": 2,
    "scale": 2,
    "offset": 2,
    "affine": 2,
    "rbf": 2,
    "identity": 1,
    "flatten": 1,
    **{kind: row.vector for kind, row in KINDS.items() if row.vector},
}
ACTS = (
    "relu",
    "relu6",
    "leaky_relu",
    "elu",
    "tanh",
    "scaled_tanh",
    "sigmoid",
    "silu",
    "gelu",
    "hardswish",
    "hardsigmoid",
    "abs",
)
NEVER_KEEP = ("gap", "gmp", "mean", "max", "sum", "l2", "flatten")


def leaf(
    rng: random.Random, x: Any, env: Mapping[str, Any], keep: bool, act: str, kind: str | None = None
) -> dict[str, Any]:
    """A node in the long form, of this kind if it has a row for such an `x`. It may not fit: the caller tries it."""
    table = SPATIAL if axes_of(x) else VECTOR
    other = rng.choices(list(table), list(table.values()))[0]
    kind = kind if kind in table else other
    if keep and kind in NEVER_KEEP:
        kind = "conv"
    return Leaf(rng, x, env, keep, act).draw(kind)


class Leaf:
    def __init__(self, rng: random.Random, x: Any, env: Mapping[str, Any], keep: bool, act: str) -> None:
        self.rng, self.x, self.env, self.keep, self.act = rng, x, env, keep, act
        self.channels, self.axes = x.shape[1], axes_of(x)

    def draw(self, kind: str) -> dict[str, Any]:
        return getattr(self, f"_{kind}", self._bare)(kind)

    def chance(self, percent: int) -> bool:
        return self.rng.randrange(100) < percent

    def whole(self, value: int) -> Any:
        """The number, or an expression that is worth it."""
        if not self.chance(35):
            return value
        k, c = self.env["k"], self.channels
        forms = [
            f"k + {value - k}" if value >= k else f"k - {k - value}",
            f"{value} if flag else {value + 3}",
            f"{2 * value}//2",
            f"min({value}, {value + 5})",
            f"max({value}, 1)",
            f"{value + 1} - n[0]",
            f"in + {value - c}" if value >= c else f"in - {c - value}",
            f"divisible({value}, {max(value, 1)})",
            f"sum([{value - 1}, 1])",
            f"len([0]) * {value}",
            f"[{value}, 7][0]",
            f"{3 * value}/3",
            f"int({value}.9)",
            f"-{-value}" if value < 0 else f"abs(-{value})",
            f"{value}*k//k",
            f"(k + {value}) % ({value} + k + 1) - k",
        ]
        if "c" in self.env:
            forms += [f"c + {value - self.env['c']}" if value >= self.env["c"] else f"c - {self.env['c'] - value}"] * 4
        chosen = self.rng.choice(forms)
        return chosen if value_of(chosen, {**self.env, "in_": c}) == value else value

    def each(self, step: float, start: float) -> Any:
        """A number per channel, where they are few."""
        return [round(step * n + start, 2) for n in range(self.channels)] if self.channels <= 24 else start

    def per_axis(self, *choices: int) -> Any:
        """One number for all axes, or one each, which are often equal."""
        first = self.rng.choice(choices)
        if self.chance(35):
            return self.whole(first)
        equal = self.chance(40)
        more = [first if equal else self.rng.choice(choices) for _ in range(self.axes - 1)]
        return [first if self.chance(60) else self.whole(first), *more]

    def window(self, *choices: int) -> Any:
        """The size of a window, which is smaller in a volume: its pixels multiply."""
        return self.per_axis(*(size for size in choices if self.axes < 3 or size < 6))

    def stride(self) -> dict[str, Any]:
        return {} if self.keep or self.chance(55) else {"stride": self.per_axis(1, 2, 2, 3)}

    def pad(self, most: int = 2) -> dict[str, Any]:
        if self.keep:
            return {} if self.chance(80) else {"pad": "same"}
        form = self.rng.randrange(9)
        if form < 4:
            return {}
        numbers = [self.rng.randint(0, most) for _ in range(2 * self.axes)]
        return {"pad": ["same", "valid", self.whole(numbers[0]), numbers, numbers][form - 4]}

    def behind(self, node: dict[str, Any], norms: bool = True) -> dict[str, Any]:
        """Perhaps with a norm and an activation."""
        if norms and self.chance(22):
            choices: list[Any] = ["bn", "bn", "ln", "none", {"op": "bn", "eps": 0.01}, {"op": "gn", "groups": 1}]
            node["norm"] = self.rng.choice(choices)
        if self.chance(28):
            more: list[Any] = ["none", {"op": "leaky_relu", "slope": 0.2}, {"op": "elu", "alpha": 0.7}, self.act]
            node["act"] = self.rng.choice([*ACTS, *more])
        return node

    def groups(self, out: int) -> dict[str, Any]:
        fitting = [g for g in (2, 3, 4, 6, 8) if self.channels % g == 0 and out % g == 0]
        return {"groups": self.whole(self.rng.choice(fitting))} if fitting and self.chance(30) else {}

    # --- kinds -------------------------------------------------------------------------------------------

    def _bare(self, kind: str) -> dict[str, Any]:
        return {"op": kind, **KINDS[kind].draw(self)}

    def _act(self, kind: str) -> dict[str, Any]:
        kind = self.rng.choice(ACTS)
        node: dict[str, Any] = {"op": kind}
        if kind == "leaky_relu" and self.chance(50):
            node["slope"] = self.rng.choice([0.1, 0.3, "p0", 0, 1.5])
        if kind == "elu" and self.chance(50):
            node["alpha"] = self.rng.choice([0.5, 2, 1.25])
        if kind == "gelu" and self.chance(50):
            node["approximate"] = True
        if kind == "scaled_tanh" and self.chance(50):
            node |= {"a": 1.2, "s": "1/2"}
        return node

    def _conv(self, kind: str) -> dict[str, Any]:
        out = self.rng.choice([1, 2, 3, 4, 6, 8, 12])
        node = {
            "op": "conv",
            "out": self.whole(out),
            "kernel": self.window(1, 3, 3, 5) if self.keep else self.per_axis(1, 2, 3, 3, 4, 5, 7),
        }
        node |= self.stride() | self.pad() | self.groups(out) | self.standardized()
        if self.chance(20):
            node["dilation"] = self.per_axis(1, 2, 3)
        if self.chance(20):
            node["bias"] = self.rng.choice([True, False])
        return self.behind(node)

    def standardized(self) -> dict[str, Any]:
        if not self.chance(12):
            return {}
        return {"standardize": self.rng.choice([1e-6, 1e-8, 0.01])} | ({"gain": 1.7} if self.chance(50) else {})

    def _dwconv(self, kind: str) -> dict[str, Any]:
        node = (
            {"op": "dwconv", "kernel": self.window(1, 3, 5) if self.keep else self.per_axis(1, 2, 3, 5)}
            | self.stride()
            | self.pad()
        )
        if self.chance(30) and self.channels <= 8:
            node["multiplier"] = self.whole(self.rng.choice([1, 2, 3]))
        if self.chance(20):
            node["dilation"] = self.per_axis(1, 2)
        return self.behind(node | self.standardized())

    def _deconv(self, kind: str) -> dict[str, Any]:
        out = self.rng.choice([1, 2, 3, 4, 6])
        node: dict[str, Any] = {
            "op": "deconv",
            "out": self.whole(out),
            "kernel": self.window(1, 2, 3, 4),
        } | self.groups(out)
        if not self.keep:
            node |= {} if self.chance(40) else {"stride": self.per_axis(1, 2, 2, 3)}
            node |= {"pad": self.rng.choice([0, 1])} if self.chance(30) else {}
            node |= {"extra": self.rng.choice([0, 1, 1, 2])} if self.chance(25) else {}
        if self.chance(15):
            node["dilation"] = self.per_axis(1, 2, 3)
        if self.chance(20):
            node["bias"] = False
        return self.behind(node)

    def _constant(self, kind: str) -> dict[str, Any]:
        """A filter that is given, not learned."""
        weight: Any = self.numbers(*[3] * self.axes)
        bias: Any = self.rng.choice([0, 0.5, [0.25, -1], True, False])
        node: dict[str, Any] = {"op": "conv", "out": 2, "kernel": 3, "weight": weight, "bias": bias, "norm": "none"}
        if self.chance(30) and self.channels <= 8:
            kernel = [*[1] * (self.axes - 1), 3]
            node |= {"kernel": kernel, "weight": self.numbers(2, self.channels, *kernel)}
        if self.chance(20) and self.channels <= 8:
            kernel = [5, 5, 1][: self.axes]
            node |= {"out": 4, "kernel": kernel, "bias": 0.5, "weight": self.numbers(4, self.channels, *kernel)}
        return node | ({} if self.keep else self.stride() | self.pad())

    def numbers(self, *shape: int) -> Any:
        """Nested lists of numbers: some hundred are too long for a short string."""
        if not shape:
            return round(self.rng.gauss(0, 0.3), 3)
        return [self.numbers(*shape[1:]) for _ in range(shape[0])]

    def _table(self, kind: str) -> dict[str, Any]:
        rows = [
            sorted(self.rng.sample(range(self.channels), self.rng.randint(1, min(3, self.channels))))
            for _ in range(self.rng.randint(1, 4))
        ]
        node: dict[str, Any] = {"op": "conv", "out": len(rows), "kernel": self.window(1, 3), "table": rows}
        return self.behind(node | self.stride() | self.pad())

    def _fc(self, kind: str) -> dict[str, Any]:
        node: dict[str, Any] = {"op": "fc", "out": self.whole(self.rng.choice([1, 2, 3, 5, 8, 10]))}
        if self.axes and (self.keep or self.chance(70)):
            node["kernel"] = self.rng.choice([1, [1] * self.axes])
        if self.chance(25):
            node["bias"] = self.rng.choice([True, False])
        return self.behind(node)

    def _rbf(self, kind: str) -> dict[str, Any]:
        out = self.rng.randint(1, 4)
        node: dict[str, Any] = {"op": "rbf", "out": out}
        if self.chance(40) and self.channels <= 24:
            node["centers"] = [[self.rng.choice([-1, 1, 0.5]) for _ in range(self.channels)] for _ in range(out)]
        return node

    def _maxpool(self, kind: str) -> dict[str, Any]:
        if self.keep:
            return {
                "op": "maxpool",
                "kernel": self.rng.choice([3, [3] * self.axes]),
                "stride": 1,
                "pad": self.rng.choice([1, "same", [1] * 2 * self.axes]),
            }
        node: dict[str, Any] = {"op": "maxpool", "kernel": self.window(1, 2, 2, 3, 3, 4)} | self.stride() | self.pad()
        node |= {"ceil": True} if self.chance(35) else {}
        return self.behind(node | ({"dilation": self.per_axis(1, 2)} if self.chance(15) else {}), norms=False)

    def _avgpool(self, kind: str) -> dict[str, Any]:
        if self.keep:
            node: dict[str, Any] = {"op": "avgpool", "kernel": 3, "stride": 1, "pad": self.rng.choice([1, "same"])}
            return node | ({"inside": True} if self.chance(40) else {})
        if self.chance(20):
            return {"op": "avgpool", "kernel": self.window(1, 2, 3, 5), "adaptive": True}
        node = {"op": "avgpool", "kernel": self.window(1, 2, 2, 3, 3, 4)} | self.stride() | self.pad()
        node |= {"ceil": True} if self.chance(35) else {}
        return node | ({"inside": True} if self.chance(35) else {})

    def _subsample(self, kind: str) -> dict[str, Any]:
        return {"op": "subsample", "kernel": self.window(1, 2, 2, 3)} | (
            {"stride": self.per_axis(1, 2)} if self.chance(40) else {}
        )

    def _bn(self, kind: str) -> dict[str, Any]:
        node: dict[str, Any] = {"op": "bn"} | ({"eps": self.rng.choice([0.001, 0.1, "p0"])} if self.chance(35) else {})
        node |= ({"affine": False} if self.chance(20) else {}) | ({"momentum": 0.01} if self.chance(15) else {})
        return self.behind(node, norms=False)

    def _gn(self, kind: str) -> dict[str, Any]:
        fitting = [g for g in (1, 2, 3, 4, 6) if self.channels % g == 0]
        return {"op": "gn", "groups": self.whole(self.rng.choice(fitting))} | (
            {"eps": 0.001} if self.chance(30) else {}
        )

    def _ln(self, kind: str) -> dict[str, Any]:
        return {"op": "ln"} | ({"eps": 0.001} if self.chance(30) else {})

    def _lrn(self, kind: str) -> dict[str, Any]:
        node: dict[str, Any] = {"op": "lrn"} | (
            {"size": self.rng.choice([1, 2, 3, 4, 5, 7])} if self.chance(70) else {}
        )
        return node | ({"alpha": 0.3, "beta": self.rng.choice([0.5, 0.75, 1]), "k": 2} if self.chance(50) else {})

    def _prelu(self, kind: str) -> dict[str, Any]:
        return {"op": "prelu"} | ({"shared": True} if self.chance(30) else {})

    def _dropout(self, kind: str) -> dict[str, Any]:
        return {"op": kind} | ({"p": self.rng.choice([0.5, 0.25, "p0", 0])} if self.chance(70) else {})

    _droppath = _dropout

    def _slice(self, kind: str) -> dict[str, Any]:
        start = self.rng.randrange(self.channels)
        return {"op": "slice", "start": self.whole(start)} | (
            {"end": self.whole(self.rng.randint(start + 1, self.channels))} if self.chance(60) else {}
        )

    def _shuffle(self, kind: str) -> dict[str, Any]:
        return {"op": "shuffle", "groups": self.rng.choice([g for g in (1, 2, 3, 4) if self.channels % g == 0])}

    def _upsample(self, kind: str) -> dict[str, Any]:
        scale = 1 if self.keep else self.per_axis(1, 2, 2, 3)
        mode = self.rng.choice(["nearest", "linear", "linear", *(["cubic"] if self.axes == 2 else [])])
        corners = {"align_corners": True} if mode != "nearest" and self.chance(40) else {}
        return {"op": "upsample", "scale": scale} | ({"mode": mode} | corners if self.chance(70) else {})

    def _pad(self, kind: str) -> dict[str, Any]:
        node: dict[str, Any] = {"op": "pad"}
        if not self.keep and self.chance(35):
            pixels: Any = self.rng.choice([1, 2, [self.rng.randint(0, 3) for _ in range(2 * self.axes)]])
            more = {"before": self.rng.choice([1, 2])} if self.chance(20) else {}
            return node | {"pixels": pixels, "mode": self.rng.choice(["reflect", "replicate", "wrap"])} | more
        if not self.keep:
            sides = [self.rng.choice([-3, -2, -1, 0, 0, 1, 2, 3]) for _ in range(2 * self.axes)]
            begins = sides[: self.axes]
            moved = [*begins, *(self.rng.choice([0, 0, 1]) - side for side in begins)]
            added = [max(side, 0) for side in sides]
            node["pixels"] = self.rng.choice([1, 2, -1, added, sides, sides, moved, moved])
        if self.chance(35):
            node["channels"] = [self.rng.randint(0, 2), self.rng.randint(0, 2)]
        return node | ({"value": self.rng.choice([0.5, -1, 3])} if self.chance(35) else {})

    def _scale(self, kind: str) -> dict[str, Any]:
        form = self.rng.choice(["flat", "batched", "", ""])
        node: dict[str, Any] = {"op": kind} | ({form: True} if form else {})
        return node | ({"init": self.rng.choice([0.1, 1e-6, "p0", 2])} if self.chance(60) else {})

    _offset = _scale

    def over(self) -> str:
        """What a reduction is over; where the shape stays, it is multiplied, so that it is never kept."""
        return self.rng.choice(["channels", "space"]) if self.axes else "channels"

    def _softmax(self, kind: str) -> dict[str, Any]:
        form = self.rng.randrange(4)
        if form == 0 and self.axes:
            return {"op": kind, "space": True}
        groups = self.rng.choice([g for g in (1, 2, 3, 4) if self.channels % g == 0])
        parts = self.rng.choice([p for p in (2, 3, 4, 0) if not p or self.channels // groups % p == 0])
        drawn = {"groups": groups} if groups > 1 else {}
        return {"op": kind} | (drawn if form > 1 else {}) | ({"parts": self.whole(parts)} if parts and form > 2 else {})

    def _affine(self, kind: str) -> dict[str, Any]:
        node: dict[str, Any] = {"op": "affine"}
        if self.chance(70):
            node["mul"] = self.rng.choice([0.5, 2, -1, self.each(0.1, 0.3)])
        if self.chance(70):
            node["add"] = self.rng.choice([0.25, -3, "p0", self.each(0.2, -0.5)])
        return node
