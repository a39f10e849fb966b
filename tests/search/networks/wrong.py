"""Sound specs made wrong by one change, with the code that is expected and the place it must be told at.

Either a node is put in, or a field changed, whose code is known beforehand; or a number is changed to any other, and
the reference says whether that is sound, and which rule it breaks.
"""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml

import archdsl
from tests.ops.cases import KINDS
from tests.search.networks.kinds import Unsound, axes_of
from tests.search.networks.make import inputs_of, specification
from tests.search.networks.reference import HEADS, Machine, blank
from tests.search.networks.text import written

STRICTER = {
    "E0308": "a number beyond what the field may be, such as a probability of 1, or `pad=same` of a deconv",
    "E0407": "an adaptive pool has no stride, padding, ceil or inside: torch's has no such arguments",
    "E0408": "an `fc` cannot have a window other than 1x1",
    "E0404": "a `channelconv` with an even window, which would lose a channel, or a table of no input",
    "E0409": "cropping leaves nothing",
    "E0412": "`add` never broadcasts",
    "E0413": "`mul` broadcasts gates of C x 1 x 1 only",
    "E0415": "`shortcut: pad` does not drop channels; no projection enlarges an image",
    "E0416": "a window in the padding alone: minus infinity, or a mean of nothing",
    "E0417": "a norm over one value, which is always 0 (torch refuses it in training, and for a batch of one)",
    "E0418": "a slice beyond the channels, which Python cuts silently",
}
"""Where archdsl refuses what torch would run, and why."""

GOES_ON = ("E0403", "E0404", "E0412", "E0413", "E0415", "E0417")
"""The shape is beyond doubt in spite of these, and nodes behind are checked with it: they may be wrong, too."""

Path = tuple[Any, ...]


@dataclass
class Wrong:
    """A spec's data with one mistake: what must be told, and where: the path to the value in the data."""

    name: str
    doc: Mapping[str, Any]
    code: str
    path: Path
    text: str = ""
    torch: bool = True
    trouble: list[str] = field(default_factory=list)


@dataclass
class Spot:
    """A node that runs, where it is in the data, and what it receives."""

    node: dict[str, Any]
    path: Path
    inputs: list[Any]

    @property
    def x(self) -> Any:
        return self.inputs[0]


def spots(doc: Mapping[str, Any]) -> list[Spot]:
    """All nodes that run, as they are received the first time."""
    seen: dict[int, list[Any]] = {}
    machine = Machine(doc, seen=lambda data, inputs: seen.setdefault(id(data), inputs))
    machine.run({name: blank(shape) for name, shape in inputs_of(doc).items()})
    places = [(("net",), doc["net"])] + [(("blocks", head), body) for head, body in doc.get("blocks", {}).items()]
    found = []
    for path, data in places:
        found += [Spot(node, at, seen[id(node)]) for at, node in nodes(data, path) if id(node) in seen]
    return found


def nodes(data: Any, path: Path) -> Iterator[tuple[Path, Any]]:
    if isinstance(data, list):
        for n, item in enumerate(data):
            yield from nodes(item, (*path, n))
    elif isinstance(data, dict):
        if any(head in data for head in HEADS):
            yield path, data
        for key, item in data.items():
            yield from nodes(item, (*path, key))


def value_at(doc: Any, path: Path) -> Any:
    for step in path:
        doc = doc[step]
    return doc


# --- changes whose code is known ------------------------------------------------------------------------------

Change = Callable[[random.Random, Spot], tuple[dict[str, Any], str, str | None] | None]
"""The node in place of the one at hand, the code, and the field that is to blame (None: the node)."""


def _set(kinds: tuple[str, ...], name: str, value: Any, code: str) -> Change:
    def change(rng: random.Random, spot: Spot) -> tuple[dict[str, Any], str, str | None] | None:
        if spot.node.get("op") not in kinds or "table" in spot.node or "weight" in spot.node:
            return None
        made = value(rng, spot) if callable(value) else value
        return None if made is None else ({**spot.node, name: made}, code, name)

    return change


def _typo(rng: random.Random, spot: Spot) -> tuple[dict[str, Any], str, str | None] | None:
    kind = spot.node.get("op", "")
    wrong = kind[:-2] + kind[-1:] + kind[-2:-1] + "q"
    return ({**spot.node, "op": wrong}, "E0301", "op") if len(kind) > 3 else None


def _without_kernel(rng: random.Random, spot: Spot) -> tuple[dict[str, Any], str, str | None] | None:
    if spot.node.get("op") not in ("conv", "dwconv", "deconv", "maxpool", "subsample"):
        return None
    return {k: v for k, v in spot.node.items() if k != "kernel"}, "E0311", None


CHANGES: dict[str, Change] = {
    "a kind misspelt": _typo,
    "a window without its size": _without_kernel,
    "no filters": _set(("conv", "deconv", "fc"), "out", 0, "E0308"),
    "fewer than no filters": _set(("conv", "deconv", "fc"), "out", -3, "E0308"),
    "half a filter": _set(("conv", "deconv", "fc"), "out", 2.5, "E0315"),
    "a width that does not divide": _set(("conv", "deconv", "fc"), "out", "(2*k + 1)/2", "E0315"),
    "an unknown name": _set(("conv", "deconv", "fc"), "out", "widht", "E0304"),
    "no expression": _set(("conv", "deconv", "fc"), "out", "2+", "E0303"),
    "a word for a number": _set(("conv", "maxpool", "avgpool", "dwconv"), "stride", "same", "E0304"),
    "a stride of 0": _set(("conv", "maxpool", "avgpool", "dwconv", "deconv"), "stride", 0, "E0308"),
    "a field that is not": _set(tuple(KINDS), "strides", 2, "E0309"),
    "a negative pad": _set(
        ("conv", "maxpool", "dwconv"), "pad", lambda rng, s: [0] * (2 * axes_of(s.x) - 1) + [-1], "E0308"
    ),
    "groups that do not divide": _set(("conv",), "groups", lambda rng, s: s.x.shape[1] + 1, "E0403"),
    "groups of a norm that do not divide": _set(("gn",), "groups", lambda rng, s: s.x.shape[1] + 1, "E0403"),
    "a slice too long": _set(("slice",), "end", lambda rng, s: s.x.shape[1] + 4, "E0418"),
    "a missing input": _set(tuple(KINDS), "from", "nowhere", "E0410"),
    "a part that is not there": _set(tuple(KINDS), "from", "input.nowhere", "E0410"),
    "a condition on nothing": _set(tuple(KINDS), "when", "deep > 1", "E0304"),
    "fewer than no copies": _set(("conv", "relu", "bn", "fc"), "repeat", "0 - 2", "E0312"),
    "copies by shape": _set(("conv", "relu", "bn", "fc"), "repeat", "in", "E0313"),
    "very many copies": lambda rng, s: (
        ({**s.node, "repeat": 900000}, "E0314", None) if s.node.get("op") in ("conv", "relu", "bn") else None
    ),
}


def channels(spot: Spot) -> int:
    return int(spot.x.shape[1])


New = Callable[[random.Random, Spot], tuple[dict[str, Any], str, str | None] | None]


ANY, SPATIAL, VECTOR = (0, 1, 2, 3), (1, 2, 3), (0,)


def larger(axes: int) -> int:
    """A size that no random network comes to: signals are long."""
    return 9999 if axes == 1 else 99


def _new(axes: Sequence[int], node: dict[str, Any], code: str, at: str | None) -> New:
    """A node that is wrong on tensors with so many spatial axes. A function in it is given that number."""

    def new(rng: random.Random, spot: Spot) -> tuple[dict[str, Any], str, str | None] | None:
        made = {key: value(axes_of(spot.x)) if callable(value) else copy.deepcopy(value) for key, value in node.items()}
        return (made, code, at) if axes_of(spot.x) in axes else None

    return new


NEW: dict[str, New] = {
    "a merge of one": _new(ANY, {"op": "concat"}, "E0414", None),
    "a window on a vector": _new(VECTOR, {"op": "conv", "out": 4, "kernel": 3}, "E0401", None),
    "a global pool of a vector": _new(VECTOR, {"op": "gap"}, "E0401", None),
    "centres on an image": _new(SPATIAL, {"op": "rbf", "out": 3}, "E0401", None),
    "a window larger than the image": _new(
        SPATIAL, {"op": "conv", "out": 4, "kernel": larger, "pad": "valid"}, "E0402", "kernel"
    ),
    "a pool larger than the image": _new(
        SPATIAL, {"op": "maxpool", "kernel": larger, "stride": 1, "ceil": False}, "E0402", "kernel"
    ),
    "nothing left": _new(SPATIAL, {"op": "pad", "pixels": lambda n: -larger(n)}, "E0409", "pixels"),
    "an adaptive pool with a stride": _new(
        SPATIAL, {"op": "avgpool", "kernel": 2, "adaptive": True, "stride": 2}, "E0407", "stride"
    ),
    "a fully connected window": _new(SPATIAL, {"op": "fc", "out": 4, "kernel": 3}, "E0408", "kernel"),
    "too much at the end": _new(SPATIAL, {"op": "deconv", "out": 2, "kernel": 2, "extra": 7}, "E0406", "extra"),
    "a window of padding": _new(
        SPATIAL,
        {
            "op": "maxpool",
            "kernel": lambda n: [2] + [1] * (n - 1),
            "stride": 1,
            "pad": lambda n: [2] + [0] * (2 * n - 1),
        },
        "E0416",
        "pad",
    ),
    "a table of one row for four": _new(
        SPATIAL, {"op": "conv", "out": 4, "kernel": 1, "table": [[0]]}, "E0404", "table"
    ),
    "a weight that does not fit": _new(
        SPATIAL,
        {"op": "conv", "out": 2, "kernel": 3, "weight": lambda n: [[1, 2], [3, 4]] if n == 2 else [1, 2]},
        "E0404",
        "weight",
    ),
    "a window with an axis too many": _new(
        (1, 2), {"op": "maxpool", "kernel": lambda n: [2] * (n + 1)}, "E0426", "kernel"
    ),
    "a window with an axis too few": _new(
        (2, 3), {"op": "conv", "out": 3, "kernel": lambda n: [1] * (n - 1)}, "E0426", "kernel"
    ),
    "a stride of other axes": _new(
        SPATIAL,
        {"op": "conv", "out": 3, "kernel": 1, "stride": lambda n: [2, 1] if n != 2 else [1, 1, 2]},
        "E0426",
        "stride",
    ),
    "a factor of other axes": _new(
        SPATIAL, {"op": "upsample", "scale": lambda n: [2] if n != 1 else [1, 2]}, "E0426", "scale"
    ),
    "a side too many": _new(
        SPATIAL, {"op": "avgpool", "kernel": 2, "stride": 1, "pad": lambda n: [0] * (2 * n + 1)}, "E0426", "pad"
    ),
    "a side for each axis alone": _new(SPATIAL, {"op": "pad", "pixels": lambda n: [1] * n}, "E0426", "pixels"),
    "dropped with certainty": _new(ANY, {"op": "dropout", "p": 1}, "E0308", "p"),
    "an epsilon of 0": _new(ANY, {"op": "bn", "eps": 0}, "E0308", "eps"),
    "a block that is not there": _new(ANY, {"call": "nowhere(3)"}, "E0301", None),
    "an enlarged image and its shortcut": _new(
        SPATIAL, {"residual": {"up": {"op": "upsample", "scale": 2}}}, "E0415", None
    ),
    "a key that no composite has": _new(ANY, {"do": {"r": {"op": "relu"}}, "scales": 2}, "E0201", "scales"),
    "two heads": _new(ANY, {"op": "relu", "residual": {"r": {"op": "relu"}}}, "E0209", None),
    "a node that reads itself": _new(ANY, {"op": "relu", "from": "wrong"}, "E0411", "from"),
    "a norm of single values": lambda rng, s: (
        ({"op": "gn", "groups": channels(s)}, "E0417", "groups") if not axes_of(s.x) else None
    ),
    "a constant per channel and one more": lambda rng, s: (
        ({"op": "affine", "mul": [1.5] * (channels(s) + 1)}, "E0404", "mul") if channels(s) < 24 else None
    ),
    "channels that do not divide": lambda rng, s: (
        ({"op": "shuffle", "groups": channels(s) + 1}, "E0403", "groups") if axes_of(s.x) else None
    ),
    "a slice behind the channels": lambda rng, s: ({"op": "slice", "start": channels(s)}, "E0418", "start"),
    "parts that do not divide": lambda rng, s: ({"op": "split", "parts": channels(s) + 1}, "E0403", "parts"),
    "a word that is missing": _new(ANY, {"op": "mean"}, "E0311", None),
    "a mean over what is not": _new(ANY, {"op": "mean", "over": "spaces"}, "E0304", "over"),
    "a maximum over the pixels of a vector": _new(VECTOR, {"op": "max", "over": "space"}, "E0401", None),
    "a difference of one": _new(ANY, {"op": "sub"}, "E0414", None),
    "an offset of two forms": _new(ANY, {"op": "offset", "flat": True, "batched": True}, "E0407", "batched"),
    "a softmax of two forms": _new(SPATIAL, {"op": "softmax", "space": True, "parts": 2}, "E0407", "parts"),
    "groups of a softmax that do not divide": lambda rng, s: (
        {"op": "softmax", "groups": channels(s) + 1},
        "E0403",
        "groups",
    ),
    "a quotient whose divisor is larger": lambda rng, s: (
        (
            {"branches": {"one": {"m": {"op": "mean", "over": "channels"}}, "two": {"op": "identity"}}, "merge": "div"},
            "E0413",
            "merge",
        )
        if channels(s) > 1
        else None
    ),
    "two gates and nothing between": lambda rng, s: (
        (
            {
                "branches": {"one": {"m": {"op": "mean", "over": "channels"}}, "two": {"g": {"op": "gmp"}}},
                "merge": "mul",
            },
            "E0413",
            "merge",
        )
        if channels(s) > 1 and axes_of(s.x) and max(s.x.shape[2:]) > 1
        else None
    ),
    "an addition of other channels": lambda rng, s: (
        {
            "branches": {
                "one": {"op": "identity"},
                "two": {"c": {"op": "fc", "out": channels(s) + 1} | ({"kernel": 1} if axes_of(s.x) else {})},
            },
            "merge": "add",
        },
        "E0412",
        "merge",
    ),
    "a product of other channels": lambda rng, s: (
        (
            {
                "branches": {
                    "one": {"op": "identity"},
                    "two": {"c": {"op": "fc", "out": channels(s) + 1} | ({"kernel": 1} if axes_of(s.x) else {})},
                },
                "merge": "mul",
            },
            "E0413",
            "merge",
        )
        if channels(s) > 1
        else None
    ),
    "a concatenation of other sizes": lambda rng, s: (
        (
            {"inception": {"one": {"op": "identity"}, "two": {"c": {"op": "upsample", "scale": 2}}}, "merge": "concat"},
            "E0405",
            "merge",
        )
        if axes_of(s.x)
        else None
    ),
    "fewer channels and padding": lambda rng, s: (
        (
            {
                "residual": {"c": {"op": "fc", "out": channels(s) - 1} | ({"kernel": 1} if axes_of(s.x) else {})},
                "shortcut": "pad",
            },
            "E0415",
            "shortcut",
        )
        if channels(s) > 1
        else None
    ),
}


def _whole(rng: random.Random, doc: dict[str, Any]) -> tuple[str, str, Path] | None:
    """A mistake outside of the nodes, made in place: its name, code and path."""
    choice = rng.randrange(7)
    if choice == 0:
        doc["ouputs"] = {"a": "b"}
        return "an unknown section", "E0201", ("ouputs",)
    if choice == 1:
        doc["outputs"] = {"a": "nowhere"}
        return "an output of nothing", "E0410", ("outputs", "a")
    if choice == 2:
        sizes = doc["input"].split("x") if isinstance(doc["input"], str) else ["0"]
        doc["input"] = "x".join([*sizes[:-1], "0"])
        return "an empty input", "E0308", ("input",)
    if choice == 3 and doc.get("blocks"):
        head = rng.choice(list(doc["blocks"]))
        doc["blocks"][head.replace("(", "((", 1)] = doc["blocks"].pop(head)
        return "a block's head", "E0210", ("blocks", head.replace("(", "((", 1))
    if choice == 4 and isinstance(doc["net"], dict):
        doc["net"]["forward"] = {"op": "relu"}
        return "a name that modules have", "E0502", ("net", "forward")
    if choice == 5 and isinstance(doc["net"], dict):
        doc["net"]["1x"] = {"op": "relu"}
        return "no name", "E0501", ("net", "1x")
    if choice == 6:
        doc["blocks"] = {**doc.get("blocks", {}), "loop": [{"op": "relu"}, {"call": "loop"}]}
        doc["net"] = [doc["net"], {"call": "loop"}]
        doc.pop("outputs", None)
        doc.pop("aux", None)
        return "a block in itself", "E0211", ("blocks", "loop", 1)
    return None


# --- one wrong spec -------------------------------------------------------------------------------------------


def mistake(seed: int) -> Wrong:
    """A sound spec with one mistake; the same for the same seed."""
    rng = random.Random(f"wrong {seed}")
    for attempt in range(40):
        doc = copy.deepcopy(specification(f"{seed}/{attempt // 10}"))
        doc.pop("variants", None)
        made = _made(rng, doc)
        if made is not None:
            made.text = written(made.doc, f"{seed}/{attempt}", flow=False)
            return made
    raise AssertionError(f"seed {seed} gives no mistake")


def _made(rng: random.Random, doc: dict[str, Any]) -> Wrong | None:
    way = rng.randrange(10)
    if way == 0:
        found = _whole(rng, doc)
        return None if found is None else Wrong(found[0], doc, found[1], found[2])
    try:
        spot = rng.choice(spots(doc))
    except (Unsound, IndexError):
        return None
    if spot.x is None or any(x is None for x in spot.inputs):
        return None
    if way < 5:
        return _put_in(rng, doc, spot)
    if way < 8:
        name, change = rng.choice(list(CHANGES.items()))
        made = change(rng, spot)
        if made is None:
            return None
        node, code, at = made
        replace_at(doc, spot.path, node)
        return Wrong(name, doc, code, (*spot.path, at) if at else spot.path)
    return _tweaked(rng, doc, spot)


def _put_in(rng: random.Random, doc: dict[str, Any], spot: Spot) -> Wrong | None:
    """A node that is wrong, before one in a sequence."""
    parent = value_at(doc, spot.path[:-1])
    inside = isinstance(parent, list) or not any(head in parent for head in HEADS)
    if (
        "from" in spot.node
        or "repeat" in spot.node
        or not inside
        or len(spot.path) < 2
        or spot.path[-2] in ("branches", "inception")
    ):
        return None
    name, new = rng.choice(list(NEW.items()))
    made = new(rng, spot)
    if made is not None and "pad" in doc.get("defaults", {}).get("conv", {}) and made[0].get("op") == "deconv":
        return None  # `pad=same` of a deconv is a mistake of its own
    if made is None:
        return None
    node, code, at = made
    if isinstance(parent, list):
        if "from" in node:
            return None
        parent.insert(spot.path[-1], node)
        path = spot.path
    else:
        entries = list(parent.items())
        place = [key for key, _ in entries].index(spot.path[-1])
        key = "wrong" if "from" in node else "conv_wrong"
        parent.clear()
        parent.update([*entries[:place], (key, node), *entries[place:]])
        path = (*spot.path[:-1], key)
    return Wrong(name, doc, code, (*path, at) if at else path)


def _tweaked(rng: random.Random, doc: dict[str, Any], spot: Spot) -> Wrong | None:
    """Any other number in a field. The reference says whether it is sound."""
    numbers = [
        k
        for k, v in spot.node.items()
        if isinstance(v, int) and not isinstance(v, bool) and k not in ("repeat", "bias")
    ]
    if "op" not in spot.node or not numbers:
        return None
    name = rng.choice(numbers)
    replace_at(doc, spot.path, {**spot.node, name: rng.choice([0, 1, 2, 3, 4, 5, 7, 8, 12, 40, -1, 1.5])})
    try:
        Machine(doc).run({name: blank(shape) for name, shape in inputs_of(doc).items()})
    except Unsound as e:
        if in_a_head(doc):  # archdsl leaves out a head that does not fit
            return None
        return Wrong("another number", doc, e.code, (*spot.path, name), torch=e.torch)
    except (RuntimeError, TypeError, ValueError, AssertionError):
        return None  # the reference has no word for it
    return Wrong("another number", doc, "", (*spot.path, name))


def in_a_head(doc: Mapping[str, Any]) -> bool:
    """Whether the network without its auxiliary heads is sound."""
    try:
        Machine(doc).run({name: blank(shape) for name, shape in inputs_of(doc).items()}, heads=False)
    except Unsound:
        return False
    return True


def replace_at(doc: Any, path: Path, value: Any) -> None:
    value_at(doc, path[:-1])[path[-1]] = value


# --- what archdsl says ----------------------------------------------------------------------------------------


def line_of(text: str, path: Path) -> tuple[int, int]:
    """The lines, from 1, that the value at the path is written on: of its key, and of its end."""
    node, line = yaml.compose(text, Loader=yaml.SafeLoader), 0
    for step in path:
        if isinstance(node, yaml.ScalarNode):
            break
        if isinstance(node, yaml.MappingNode):
            found = [(k, v) for k, v in node.value if k.value == str(step)]
            if not found:
                break
            line, node = found[0][0].start_mark.line, found[0][1]
        else:
            node = node.value[step]
            line = node.start_mark.line
    return line + 1, max(node.end_mark.line, node.start_mark.line) + 1


def judged(wrong: Wrong) -> Wrong:
    """Adds to `trouble` what archdsl says otherwise than expected."""
    try:
        archdsl.loads(wrong.text)
        told: list[tuple[str, int]] = []
    except archdsl.ArchError as e:
        errors = [d for d in e.diagnostics if d.severity == "error"]
        told = [(d.code, d.span.line if d.span is not None else 0) for d in errors]
    if not wrong.code:
        wrong.trouble += [f"refused: {told[0]}"] if told else []
        return wrong
    first, last = line_of(wrong.text, wrong.path)
    if not told:
        wrong.trouble.append(f"accepted; expected {wrong.code} at {first}")
    elif wrong.name == "another number":
        # What is wrong may be a node that reads this one: the code must be right, and one mistake be one error.
        wrong.trouble += [] if wrong.code in {code for code, _ in told} else [f"{told[:3]}; expected {wrong.code}"]
    elif not any(code == wrong.code and first <= line <= last for code, line in told):
        wrong.trouble.append(f"{told[:3]}; expected {wrong.code} at {first} to {last}")
    elif len(told) > 1 and wrong.code not in GOES_ON:
        wrong.trouble.append(f"more than one error: {told[:4]}")
    return wrong
