"""Specs at random, all of them sound: nodes in short and long form, blocks, repeats, composites.

Every node keeps its image's height and width, so that any two can meet; channels change freely.
"""

from __future__ import annotations

from typing import Any

import yaml
from hypothesis import strategies as st

ARGS = {"k": 4, "flag": True, "act0": "relu", "n": [1, 2], "eps0": 0.01}
WHOLE = st.sampled_from([1, 2, 3, 8, "k", "2*k", "k//2 + 1", "k if flag else 8", "n[1]*2", "divisible(k, 8)", "min(k, 3)"])
FACTOR = st.sampled_from([0.5, 1, "eps0", "1/4"])
CONDITION = st.sampled_from([True, "flag", "k > 3", "not flag", "k == 4 and flag", "in > 2"])
COUNT = st.sampled_from([1, 2, "n[0]", "n[1]", "len(n)"])
ACTIVATION = st.sampled_from(["relu", "tanh", "act0", "none", {"op": "leaky_relu", "slope": 0.2}, {"op": "elu"}])
NORM = st.sampled_from(["bn", "lrn", "none", {"op": "bn", "eps": 0.001}])


def short(node: dict[str, Any]) -> str | None:
    """A long op or call in short form, as a reader of the language page would write it; None where there is none."""
    if any(isinstance(node.get(key), dict) for key in ("norm", "act")) or "doc" in node:
        return None
    words = [f"{word(node['repeat'])} *"] if "repeat" in node else []
    if "call" in node:
        words.append(node["call"])
    else:
        words += op_words(node)
    words += [f"as {node['as']}"] if "as" in node else []
    if "from" in node:
        words.append("<- " + (node["from"] if isinstance(node["from"], str) else ", ".join(node["from"])))
    words += [f"when {word(node['when'], blanks=True)}"] if "when" in node else []
    return " ".join(words)


def op_words(node: dict[str, Any]) -> list[str]:
    kernel = node.get("kernel")
    words = [] if kernel is None else ["x".join(map(str, kernel if isinstance(kernel, list) else [kernel] * 2))]
    words.append(node["op"])
    words += [word(node[key]) for key in ("out", "p", "size", "slope") if key in node]
    words += [f"/{word(node['stride'])}"] if "stride" in node else []
    words += [f"{key}={word(node[key])}" for key in ("pad", "dilation", "bias", "init") if key in node]
    return words + [f"{key}={node[key]}" for key in ("norm", "act") if key in node]


def word(value: Any, blanks: bool = False) -> str:
    text = str(value).lower() if isinstance(value, bool) else str(value).replace(", ", ",") if isinstance(value, list) else str(value)
    return f"({text})" if " " in text and not blanks and not text.endswith(")") else text


def either(node: dict[str, Any], draw: st.DrawFn) -> Any:
    text = short(node)
    return node if text is None or draw(st.booleans()) else text


@st.composite
def ops(draw: st.DrawFn, channels: bool = True) -> dict[str, Any]:
    """One op that keeps height and width; without `channels`, one without parameters."""
    kinds = ["conv", "dwconv", "bn", "scale"] if channels else []
    kind = draw(st.sampled_from([*kinds, "relu", "maxpool", "dropout", "lrn", "avgpool"]))
    node: dict[str, Any] = {"op": kind}
    if kind == "conv":
        node |= {"out": draw(WHOLE), "kernel": draw(st.sampled_from([1, 3, [3, 1], [5, 3]]))}
        node |= draw(st.fixed_dictionaries({}, optional={"bias": st.booleans(), "norm": NORM, "act": ACTIVATION}))
    elif kind == "dwconv":
        node |= {"kernel": 3} | draw(st.fixed_dictionaries({}, optional={"dilation": st.sampled_from([2, [2, 1]]), "norm": NORM}))
    elif kind in ("maxpool", "avgpool"):
        node |= {"kernel": [3, 3], "stride": 1, "pad": draw(st.sampled_from([1, "same", [1, 1, 1, 1]]))}
    elif kind == "dropout":
        node |= {"p": draw(st.sampled_from([0.5, "eps0", 0.25]))}
    elif kind == "scale":
        node |= {"init": draw(st.sampled_from([1, 0.000001, "eps0"]))}
    elif kind == "bn":
        node |= draw(st.fixed_dictionaries({}, optional={"act": ACTIVATION}))
    return node


@st.composite
def simple(draw: st.DrawFn, blocks: tuple[str, ...], named: tuple[str, ...] = (), number: int | None = None) -> Any:
    """An op or a call, in short or long form, perhaps left out, or reading an earlier node; with a number repeated."""
    if blocks and draw(st.integers(0, 2)) == 0:
        size = draw(WHOLE)
        node = {"call": f"{draw(st.sampled_from(blocks))}({draw(st.sampled_from([size, f'c={size}', f'{size}, act0']))})"}
        node["call"] = node["call"] if "c=" not in node["call"] else node["call"].replace(", act0", "")
    else:
        node = draw(ops())
    if number is not None and draw(st.integers(0, 3)) == 0:
        node["repeat"] = draw(COUNT)
        if draw(st.integers(0, 3)) == 0:
            node["as"] = draw(st.sampled_from([f"part{number}_{{0}}", f"copy{number}-{{1}}x"]))
    elif named and draw(st.integers(0, 3)) == 0:
        node["from"] = draw(st.sampled_from(named))
    if draw(st.integers(0, 4)) == 0:
        node["when"] = draw(CONDITION)
    return either(node, draw)


@st.composite
def composites(draw: st.DrawFn, blocks: tuple[str, ...], depth: int) -> Any:
    inside = sequences(blocks, depth - 1)
    kind = draw(st.sampled_from(["residual", "inception", "dense", "do"]))
    node: dict[str, Any]
    if kind == "residual":
        node = {"residual": draw(inside)}
        node |= draw(st.fixed_dictionaries({}, optional={"scale": FACTOR, "shortcut": st.just("none"),
                                                         "then": st.sampled_from(["relu", {"op": "tanh"}])}))  # fmt: skip
    elif kind == "inception":
        node = {"inception": {f"branch{n}": draw(inside) for n in range(draw(st.integers(2, 3)))}}
        node |= draw(st.sampled_from([{}, {"merge": "concat"}, {"then": "relu"}]))
    elif kind == "dense":
        layer = {"op": "conv", "out": draw(WHOLE), "kernel": 3}
        node = {"dense": draw(st.sampled_from([layer, short(layer)])), "repeat": draw(COUNT), "as": "layer{1}"}
    else:
        node = {"do": draw(inside)} | draw(st.sampled_from([{}, {"doc": "some part"}, {"then": "relu"}]))
    return node


@st.composite
def sequences(draw: st.DrawFn, blocks: tuple[str, ...], depth: int) -> Any:
    """A list or mapping of nodes, of which at least one stays."""
    count = draw(st.integers(1, 3))
    named: list[str] = []
    as_list = draw(st.booleans())
    values: list[Any] = [either({"op": "conv", "out": draw(WHOLE), "kernel": 3}, draw)]
    for n in range(count):
        if depth > 0 and draw(st.booleans()):
            values.append(draw(st.one_of(composites(blocks, depth), sequences(blocks, depth - 1))))
        else:
            values.append(draw(simple(blocks, () if as_list else tuple(named), n if as_list else None)))
        named = [f"node{m}" for m in range(n + 1)][:1]
    return values if as_list else {f"node{n}": value for n, value in enumerate(values)}


@st.composite
def documents(draw: st.DrawFn) -> dict[str, Any]:
    blocks = ("unit", "pair") if draw(st.booleans()) else ()
    out: dict[str, Any] = {"name": "random", "input": draw(st.sampled_from(["4x9x9", [4, 9, 9], [4, "H=9", "W=9"]]))}
    out["args"] = ARGS
    out |= draw(st.sampled_from([{}, {"defaults": {"conv": "bn relu"}}, {"defaults": {"conv": {"norm": "bn"}, "bn": {"eps": 0.001}}}]))
    if blocks:
        out["blocks"] = {"unit(c, a=act0)": [either({"op": "conv", "out": "c", "kernel": 3, "act": "a"}, draw), draw(simple(()))],
                         "pair(c, a=act0)": {"residual": {"conv": "3x3 conv c act=a", "next": draw(simple(()))}}}  # fmt: skip
    out["net"] = draw(sequences(blocks, 2))
    if draw(st.booleans()):
        out["variants"] = {"small": {"k": 2}, "other": {"defaults": {"conv": {"norm": "bn", "act": "tanh"}}}}
    return out


@st.composite
def texts(draw: st.DrawFn) -> str:
    """A spec as YAML, in flow or block style as it falls."""
    style = draw(st.sampled_from([True, False, None]))
    return yaml.safe_dump(draw(documents()), sort_keys=False, default_flow_style=style, width=draw(st.sampled_from([60, 200])))
