"""Data in the long form as the text of a spec: nodes in short or long form as it falls, YAML in flow or block style."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import yaml

from tests.ops.cases import POSITIONAL
from tests.search.networks.reference import HEADS

FLAGS = {
    ("bias", True): "bias",
    ("bias", False): "nobias",
    ("pad", "same"): "same",
    ("pad", "valid"): "valid",
    ("ceil", True): "ceil",
    ("inside", True): "inside",
    ("adaptive", True): "adaptive",
    ("mode", "nearest"): "nearest",
    ("mode", "linear"): "linear",
    ("mode", "cubic"): "cubic",
    ("align_corners", True): "align_corners",
    ("mode", "reflect"): "reflect",
    ("mode", "replicate"): "replicate",
    ("mode", "wrap"): "wrap",
}
UNKNOWN_FLAGS = {("deconv", "pad")}
LONGEST = 1900
"""A string with a longer expression is refused."""
NODES = ("do", "residual", "shortcut", "then", "dense", "inception", "branches")


class Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


def written(doc: Mapping[str, Any], seed: int | str, width: float = float("inf"), flow: bool | None = True) -> str:
    """The text of a spec. The style is drawn from `seed`, and depends on nothing else; without `flow` in block
    style."""
    rng = random.Random(f"style {seed}")
    return dumped(spelt(doc, rng), rng, width, flow)


def dumped(data: Mapping[str, Any], rng: random.Random, width: float = float("inf"), flow: bool | None = True) -> str:
    return yaml.dump(
        data,
        Dumper=Dumper,
        sort_keys=False,
        default_flow_style=flow and rng.choice([False, False, None, True]),
        width=width,
    )


def spelt(doc: Mapping[str, Any], rng: random.Random, over: bool = False) -> dict[str, Any]:
    """The data as it is written: nodes in short or long form; in overrides (`over`) only whole nodes can be short."""
    data = dict(doc)
    over = over or "extends" in doc
    if "net" in doc:
        data["net"] = shortened(doc["net"], rng, over)
    for name in ("blocks", "aux"):
        if isinstance(doc.get(name), dict):
            data[name] = {k: _part(name, v, rng, over) for k, v in doc[name].items()}
    if isinstance(doc.get("defaults"), dict) and not over:
        data["defaults"] = {k: default(v, rng) for k, v in doc["defaults"].items()}
    if "variants" in doc:
        data["variants"] = {k: spelt(v, rng, True) for k, v in doc["variants"].items()}
    return data


def _part(name: str, value: Any, rng: random.Random, over: bool) -> Any:
    if name == "blocks":
        return shortened(value, rng, over)
    return {**value, "do": shortened(value["do"], rng, over)} if isinstance(value, dict) and "do" in value else value


def default(value: Any, rng: random.Random) -> Any:
    """What stands behind a kind, in words where there are some."""
    if not isinstance(value, dict) or any(isinstance(v, dict) for v in value.values()) or rng.random() < 0.5:
        return value
    if any(not isinstance(v, str) if k in ("norm", "act") else k.startswith("more") for k, v in value.items()):  # junk
        return value
    return " ".join(words({"op": "", **value}, rng)[1:]).strip() or value


def shortened(data: Any, rng: random.Random, over: bool = False) -> Any:
    """The same node, the strings in it written short by chance. In overrides, `null` only has a long form."""
    if isinstance(data, list):
        return [shortened(item, rng, over) for item in data]
    if not isinstance(data, dict):
        return data
    if not any(head in data for head in HEADS):
        return {
            key: item if over and key in ("norm", "act") else shortened(item, rng, over) for key, item in data.items()
        }
    text = None if over and None in data.values() else short(data, rng)
    if text is not None and rng.random() < 0.65 and len(text) <= LONGEST:
        return text
    out = {key: shortened(item, rng, over) if key in NODES else item for key, item in data.items()}
    if rng.random() < 0.2:
        out = dict(rng.sample(list(out.items()), len(out)))
    return out


def short(node: Mapping[str, Any], rng: random.Random) -> str | None:
    """A node in short form; None where there is none."""
    if any(isinstance(node.get(key), dict) for key in ("norm", "act")) or {"doc", "then", "residual"} & set(node):
        return None
    out = [f"{word(node['repeat'])} *"] if "repeat" in node else []
    if "dense" in node:
        layer = short(node["dense"], rng) if any(head in node["dense"] for head in ("op", "call")) else None
        if layer is None or any(key in node["dense"] for key in ("repeat", "as", "from", "when")):
            return None
        out = ["dense", *out, layer]
    elif "call" in node:
        out.append(node["call"])
    elif "op" in node:
        out += words(node, rng)
    else:
        return None
    out += [f"as {node['as']}"] if "as" in node else []
    if "from" in node:
        out.append("<- " + (node["from"] if isinstance(node["from"], str) else ", ".join(node["from"])))
    return " ".join(
        [
            *out,
            *(
                [f"when {str(node['when']).lower() if isinstance(node['when'], bool) else node['when']}"]
                if "when" in node
                else []
            ),
        ]
    )


def words(node: Mapping[str, Any], rng: random.Random) -> list[str]:
    """`3x3 conv 64 /2 bn relu`: the kernel, the kind, values without a key, then the rest in any order."""
    kind, kernel = node["op"], node.get("kernel")
    as_window = is_sizes(kernel) and rng.random() < 0.9
    head = ["x".join(map(str, kernel))] if as_window else []  # type: ignore[arg-type]
    rest, positional = [], []
    for field in POSITIONAL.get(kind, ()):
        if field not in node or rng.random() < 0.15:
            break
        positional.append(field)
    head += [kind, *(word(node[field]) for field in positional)]
    for key, value in node.items():
        if key in ("op", "repeat", "as", "from", "when", "norm", "act", *positional) or (key == "kernel" and as_window):
            continue
        flagged = isinstance(value, (bool, str)) and (kind, key) not in UNKNOWN_FLAGS  # `bias=0` is a number
        flag = FLAGS.get((key, value)) if flagged else None
        if key == "stride" and rng.random() < 0.8:
            rest.append("/" + ("x".join(map(str, value)) if is_sizes(value) and rng.random() < 0.8 else word(value)))
        else:
            rest.append(flag if flag is not None and rng.random() < 0.7 else f"{key}={word(value)}")
    rng.shuffle(rest)
    return [*head, *rest, *behind(node, rng)]


def is_sizes(value: Any) -> bool:
    """Whether a list can be written as `3x3`: numbers, one for each axis."""
    return isinstance(value, list) and all(type(size) is int and size >= 0 for size in value)


def behind(node: Mapping[str, Any], rng: random.Random) -> list[str]:
    norm, act = node.get("norm"), node.get("act")
    if norm == "none" and act == "none" and rng.random() < 0.7:
        return ["plain"]
    if norm is None and act == "none" and rng.random() < 0.7:
        return ["linear"]
    out = []
    for key, value in (("norm", norm), ("act", act)):
        if value is not None:
            plain = value not in ("none", "act0", "a") and rng.random() < 0.7
            out.append(value if plain else f"{key}={value}")
    return out


def word(value: Any) -> str:
    """A value of the short form: no blanks, or parentheses around it."""
    text = str(value).lower() if isinstance(value, bool) else str(value)
    if isinstance(value, list):
        text = "[" + ",".join(word(item) for item in value) + "]"
    return f"({text})" if " " in text and not (isinstance(value, list) and "(" not in text) else text
