"""Draws sound specs, in the long form: every kind and composite, blocks, repeats, references, expressions.

Each node is tried on the reference as soon as it is drawn, so the shapes that arrive are known, and what the language
page or torch refuses is drawn again. No code of archdsl has a say in what is sound.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import Any

from tests.search.networks.kinds import Unsound, axes_of
from tests.search.networks.leaves import leaf
from tests.search.networks.nodes import PLAIN, Drawn, Nodes
from tests.search.networks.reference import Frame, Machine, Member, blank, value_of

AXES = (1, 2, 2, 3)
"""The spatial axes of the inputs: signals, images, volumes."""
TRIES = 8
LONGEST = (0, 60, 17, 9)
"""The largest size of an input, by its number of spatial axes: a network of each takes about as long."""
LARGEST = 12_000
"""Values of one tensor: many small networks find more than few large ones."""
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
)
DEFAULTS: list[dict[str, Any]] = [
    {},
    {},
    {"conv": {"norm": "bn", "act": "relu"}},
    {"conv": {"act": "relu"}, "fc": {"act": "tanh"}},
    {"conv": {"norm": "bn", "act": "hardswish"}, "bn": {"eps": 0.001}},
    {"conv": {"bias": False}, "maxpool": {"ceil": True}},
    {"conv": {"pad": "same"}, "avgpool": {"inside": True}},
    {"conv": {"norm": {"op": "gn", "groups": 1}}},
    {"conv": {"norm": "ln"}, "ln": {"eps": 1e-6}, "dropout": {"p": 0.25}},
    {"leaky_relu": {"slope": 0.3}, "conv": {"act": "leaky_relu"}},
]


def specification(seed: int | str) -> dict[str, Any]:
    """The data of one spec, the same for the same seed."""
    for attempt in range(20):
        doc = Maker(random.Random(f"{seed}/{attempt}")).document()
        if doc is not None:
            return doc
    raise AssertionError(f"seed {seed} gives nothing")


def inputs_of(doc: Mapping[str, Any]) -> dict[str, tuple[int, ...]]:
    """The inputs' shapes by name."""
    written = doc["input"]
    return {k: shape_of(v) for k, v in written.items()} if isinstance(written, dict) else {"input": shape_of(written)}


def shape_of(written: Any) -> tuple[int, ...]:
    items = written if isinstance(written, list) else str(written).split("x")
    return tuple(int(str(item).split("=")[-1]) for item in items)


def readable(members: Mapping[str, Member]) -> list[str]:
    """What `outputs` and heads can name: nodes, and those inside of nodes."""
    names = []
    for name, member in members.items():
        if name.isidentifier() and not name.startswith("_") and member.value is not None:
            names.append(name)
            names += [f"{name}.{inner}" for inner in readable(member.inner)]
    return names


class Maker(Nodes):
    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.doc: dict[str, Any] = {"name": "random"}
        self.number = 0
        self.axes = rng.choice(AXES)
        self.machine = Machine(self.doc)

    # --- the document ------------------------------------------------------------------------------------

    def document(self) -> dict[str, Any] | None:
        rng, doc = self.rng, self.doc
        doc["input"] = self.input()
        k = rng.randint(2, 6)
        doc["args"] = {
            "k": k,
            "flag": True,
            "act0": rng.choice(ACTS[:6]),
            "n": [1, 2, 3],
            "rows": [[k, 3], [4, 1]],
            "p0": 0.25,
        }
        doc["defaults"] = dict(rng.choice(DEFAULTS)) | (
            {"naming": rng.choice(["flat", "sibling"])} if self.chance(30) else {}
        )
        doc["blocks"] = {}
        self.machine = Machine(doc)
        for number in range(rng.choice([0, 0, 1, 2, 3])):
            self.block(number)
        inputs = {name: blank(shape) for name, shape in inputs_of(doc).items()}
        lone = next(iter(inputs.values())) if len(inputs) == 1 else None
        top = Frame(None, {k: Member(v) for k, v in inputs.items()} | {"input": Member(lone)})
        net, member = self.sequence(lone, dict(self.machine.args), top, 2, first=self.join(inputs))
        if member is None:
            return None
        doc["net"] = net
        if isinstance(net, dict):
            self.ends(member, top)
        if self.chance(15):
            self.variant(inputs)
        for name in ("blocks", "defaults"):
            if not doc[name]:
                del doc[name]
        try:
            Machine(doc, variant=doc.get("variants", {}).get("other", {})).run(inputs)
        except Unsound:
            return None
        order = ("name", "input", "args", "defaults", "blocks", "net", "aux", "outputs", "variants")
        return {key: doc[key] for key in order if key in doc}

    def input(self) -> Any:
        rng = self.rng
        if self.chance(8):
            return rng.choice([12, 7, 24])
        least = 1 if self.chance(12) else 5
        c, sizes = rng.choice([1, 2, 3, 3, 4, 8]), [rng.randint(least, LONGEST[self.axes]) for _ in range(self.axes)]
        rest = "x".join(map(str, sizes))
        form = rng.randrange(7)
        if form == 6:
            return {"left": f"{c}x{rest}", "right": f"2x{rest}", "meta": rng.randint(1, 9)}
        if form == 0:
            return {"image": f"{c}x{rest}", "meta": rng.choice([rng.randint(2, 9), "2x7", "2x3x4", "1x3x2x3"])}
        named = [f"{letter}={size}" for letter, size in zip("HWD" if form == 1 else "ABC", sizes, strict=False)]
        if form == 1:
            return {"left": [c, *named], "right": [2, *named]}
        return [c, *named] if form == 2 else [c, *sizes] if form == 3 else f"{c}x{rest}"

    def join(self, inputs: Mapping[str, Any]) -> list[tuple[str, Any]]:
        """The first nodes of a net with several inputs, by which they become one."""
        if len(inputs) == 1:
            return []
        both = ("both", {"op": "concat", "from": ["left", "right"]})
        if "meta" in inputs and "left" in inputs:
            gates = {"op": "fc", "out": inputs["left"].shape[1] + 2, "from": "meta", "act": "sigmoid"}
            return [
                ("conv_m", gates),
                both,
                ("flat", {"op": "flatten"}),
                ("all", {"op": "concat", "from": ["flat", "conv_m"]}),
            ]
        if "left" in inputs:
            return [both]
        stem = {"op": "conv", "out": self.rng.randint(2, 6), "kernel": 3, "from": "image"}
        return [
            ("conv_i", stem),
            ("flat", {"op": "flatten"}),
            ("conv_m", {"op": "fc", "out": 4, "from": "meta"}),
            ("both", {"op": "concat", "from": ["flat", "conv_m"]}),
        ]

    def block(self, number: int) -> None:
        """A block of the file: its body is drawn for one call, and may not fit others."""
        rng = self.rng
        name, c = f"unit{number}", rng.choice([2, 3, 4, 6])
        several = number == 2 and self.chance(60)
        width, values = rng.choice([("c", {"c": c}), ("c=in", {"c": 3}), (f"c={c}", {"c": c})])
        more = [
            ("s=1", {"s": 1}),
            ("a=act0", {"a": self.doc["args"]["act0"]}),
            ("e=2*k", {"e": 2 * self.doc["args"]["k"]}),
        ]
        chosen = rng.sample(more, rng.randint(0, 2))
        head = f"{name}({', '.join([width, *(text for text, _ in chosen)])})"
        for _, value in chosen:
            values |= value
        sizes = (9, 8, 5)[: self.axes]
        x = blank((3, *sizes))
        names = {"input": Member(x)}
        if several:
            head += " <- x, skip"
            names |= {"x": Member(x), "skip": Member(blank((2, *sizes)))}
        env = {**self.machine.args, **values}
        first = [(f"cat{number}", {"op": "concat", "from": ["skip", "x"]})] if several else []
        body, member = self.sequence(x, env, Frame(None, names), 1, first=first, params=tuple(values))
        if member is not None:
            self.doc["blocks"][head] = body
            self.machine = Machine(self.doc)

    def ends(self, member: Member, top: Frame) -> None:
        """Several outputs, and auxiliary heads, by name."""
        names = readable(member.inner)
        if len(names) > 1 and self.chance(25):
            last = [name for name in names if "." not in name][-1:]
            chosen = [*(last if self.chance(80) else []), *self.rng.sample(names, min(2, len(names)))]
            self.doc["outputs"] = {f"out{i}": name for i, name in enumerate(dict.fromkeys(chosen))}
        heads = self.rng.choice([1, 1, 2]) if names and self.chance(20) else 0
        frame = Frame(None, {**top.names, **member.inner})
        for number in range(heads):
            source = self.rng.choice(names)
            value = frame.look_up(source)
            if self.chance(25):
                siblings = self.doc["defaults"].get("naming") == "sibling"  # a norm needs a key with `conv` there
                kind = self.rng.choice(PLAIN) if siblings else None
                body = leaf(self.rng, value, self.machine.args, False, "act0", kind)
                body.pop("norm", None)
                made = self.tried(body, value, self.machine.args, frame)
            else:
                body, made = self.sequence(value, dict(self.machine.args), frame, 0, as_list=False)
            if made is not None:
                head = {"from": source, "do": body, "weight": 0.5}
                self.doc["aux"] = self.doc.get("aux", {}) | {f"head{number or ''}": head}

    def variant(self, inputs: Mapping[str, Any]) -> None:
        override = self.rng.choice([{"k": self.rng.randint(2, 7)}, {"flag": False}, {"n": [2, 1, 2]}, {"act0": "tanh"}])
        try:
            Machine(self.doc, variant=override).run(inputs)
        except Unsound:
            return
        self.doc["variants"] = {"other": override}

    # --- sequences ---------------------------------------------------------------------------------------

    def key(self, data: Any) -> str:
        self.number += 1
        if isinstance(data, dict) and "op" in data:
            sibling = self.doc.get("defaults", {}).get("naming") == "sibling"
            return f"conv{self.number}" if sibling or self.chance(50) else f"{data['op']}-{self.number}"
        if isinstance(data, (list, dict)) and "repeat" not in data and "call" not in data and self.chance(6):
            return f"_part{self.number}"
        return f"part{self.number}" if self.chance(80) else f"layer{self.number}_x"

    def sequence(
        self,
        x: Any,
        env: Mapping[str, Any],
        parent: Frame,
        depth: int,
        keep: bool = False,
        as_list: bool | None = None,
        first: list[tuple[str, Any]] = [],
        params: tuple[str, ...] = (),
    ) -> Drawn:
        """A list or mapping of nodes, and what it gives on `x`; `keep`: the height and width stay."""
        frame, last, inner = Frame(parent), None, {}
        as_list = not first and self.chance(45) if as_list is None else as_list
        data: dict[str, Any] = {}
        forced = list(first)
        for _ in range(len(forced) + self.rng.randint(1, 4)):
            if forced:
                key, child = forced.pop(0)
                made = self.tried(child, x, env, frame)
                if made is None:
                    return {}, None
            else:
                child, made = self.child(x, env, frame, depth, keep, as_list, last is not None)
                key = self.key(child)
            if child is None:
                continue
            if made is None and isinstance(child.get("from"), list):
                continue  # left out by `when`: the next node would read several tensors
            if made is None:
                made = Member(x) if not isinstance(child.get("from"), str) else Member(frame.look_up(child["from"]))
                if keep and made.value is not None and made.value.shape[2:] != x.shape[2:]:
                    continue
            else:
                last = inner[key] = made
            data[key] = child
            x = frame.names.setdefault(key, made).value
            if (
                isinstance(child, dict)
                and child.get("op") in ("bn", "affine", "scale")
                and x is not None
                and self.chance(35)
            ):
                kernel = self.rng.choice([1, 3, 3]) if axes_of(x) else None  # what the layer behind it may take in
                layer = (
                    {"op": "fc", "out": 4}
                    if kernel is None
                    else {"op": "conv", "out": self.rng.choice([2, 3, 5]), "kernel": kernel}
                )
                forced.append((self.key(layer), layer))
            if not as_list and (again := self.again(key, child, made, x, env, frame)) is not None:
                forced.append((self.key(again), again))
            if x is None and not as_list:  # a split: its parts are joined again, in another order
                parts = [f"{key}.{n}" for n in range(len(made.inner))]
                self.rng.shuffle(parts)
                forced.append((self.key({}), {"op": "concat", "from": parts}))
        while forced:
            key, child = forced.pop(0)
            made = self.tried(child, x, env, frame)
            if made is None:
                return {}, None
            data[key], x, last, inner[key] = child, made.value, made, made
        if last is None:
            data["last"] = {"op": "relu"}
            last = inner["last"] = (
                Member(self.machine.item(data["last"], x, frame, env).value) if x is not None else None
            )  # type: ignore[union-attr]
            x = last and last.value
        if last is None or x is None:
            return {}, None
        return list(data.values()) if as_list else data, Member(x, inner)

    def again(
        self, key: str, child: Any, made: Member, x: Any, env: Mapping[str, Any], frame: Frame
    ) -> dict[str, Any] | None:
        """Perhaps the node once more, with the tensors of the first time, on its own output or on what it read."""
        if made.ran is None or key.startswith("_") or not isinstance(child, dict):
            return None
        if (
            not self.chance(20 if made.ran[0] else 45)
            or {"repeat", "when"} & set(child)
            or (not made.ran[0] and "same" in repr(child))
            or (isinstance(child.get("do"), dict) and "from" in child["do"])  # written without `do`, it reads others
        ):
            return None
        node: dict[str, Any] = {"op": "again", "node": key}
        if made.ran[0]:
            node |= self.rng.choice([{}, {"act": "relu"}, {"norm": "bn"}, {"norm": "bn", "act": "relu"}])
        node |= {"from": child["from"]} if isinstance(child.get("from"), str) and self.chance(50) else {}
        return node if self.tried(node, x, env, frame) is not None else None

    def tried(self, data: Any, x: Any, env: Mapping[str, Any], frame: Frame) -> Member | None:
        try:
            member = self.machine.item(data, x, frame, env)
        except Unsound:
            return None
        if member is not None and member.value is not None and member.value[0].numel() > LARGEST:
            return None
        return member

    def child(
        self, x: Any, env: Mapping[str, Any], frame: Frame, depth: int, keep: bool, as_list: bool, optional: bool
    ) -> Drawn:
        """One node of a sequence, and what it gives."""
        for _ in range(TRIES):
            data = self.draw(x, env, frame, depth, keep, as_list)
            if data is None:
                continue
            data = self.dressed(data, x, env, as_list, optional)
            made = self.tried(data, x, env, frame)
            left_out = isinstance(data, dict) and "when" in data and not self.holds(data["when"], x, env)
            if left_out and made is None and optional:
                return data, None
            if made is None or (keep and made.value is not None and made.value.shape[2:] != x.shape[2:]):
                continue
            if made.value is None and (as_list or made.inner == {}):
                continue
            return data, made
        return None, None

    def holds(self, condition: Any, x: Any, env: Mapping[str, Any]) -> bool:
        return bool(value_of(condition, {**env, "in_": x.shape[1] if x is not None else 0}))

    def draw(self, x: Any, env: Mapping[str, Any], frame: Frame, depth: int, keep: bool, as_list: bool) -> Any:
        pick = self.rng.randrange(100)
        if x is None:
            return None
        if pick < 12 and not as_list:
            return self.merge(frame, x)
        if pick < 15 and not as_list and not keep and x.shape[1] % 2 == 0:
            return {"op": "split", "parts": self.rng.choice([p for p in (2, 3, 4) if x.shape[1] % p == 0])}
        if pick < 30 and self.doc["blocks"]:
            return self.call(env, frame)
        if pick < 62 and depth > 0:
            composite: Callable[..., Any] = self.rng.choice(
                [self.residual, self.branches, self.dense, self.do, self.nested, self.between]
            )
            return composite(x, env, frame, depth - 1, keep)
        data = leaf(self.rng, x, env, keep, "act0")
        names = [n for f in (frame, frame.parent) if f is not None for n, m in f.names.items() if m.value is not None]
        if names and not as_list and self.chance(12):
            data["from"] = self.rng.choice(names)
        return (
            self.like(data, x, frame.parent if as_list else frame, keep) if data["op"] in ("upsample", "pad") else data
        )

    def dressed(self, data: Any, x: Any, env: Mapping[str, Any], as_list: bool, optional: bool) -> Any:
        """Perhaps with copies, a condition or a word of documentation."""
        if not isinstance(data, dict) or not {"op", "call", "do", "residual", "inception", "branches"} & set(data):
            return data
        if (
            self.chance(12)
            and "repeat" not in data
            and data.get("op") != "split"
            and not isinstance(data.get("from"), list)
        ):
            data["repeat"] = self.rng.choice([1, 2, "n[1]", "len(n) - 1", "n[0] + 1"])
            if self.chance(35):
                self.number += 1
                data["as"] = self.rng.choice([f"conv{self.number}_{{0}}", f"conv{self.number}-{{1}}x"])
        if self.chance(10) and data.get("op") != "split":
            data["when"] = self.rng.choice(
                [True, "flag", "k > 1", "in > 0", "k == 99", "not flag", "in == 77", "flag and k < 50"]
            )
        if self.chance(4):
            data["doc"] = "a part of it"
        return data
