"""Answers nodes that are nearly in the language: `dense(4, layer)`, `3x3 conv 64 <- [a, b]`, `2 x block(64)`."""

from __future__ import annotations

import re
from collections.abc import Collection

from archdsl.diagnostics import Edit, Fix
from archdsl.diagnostics.fixes import removing
from archdsl.language.foreign.calls import Hint
from archdsl.language.foreign.layers import find
from archdsl.language.foreign.words import op_of
from archdsl.language.foreign.write import Answer
from archdsl.language.format.yaml_writer import plain_or_quoted
from archdsl.language.hints import head_help
from archdsl.language.keys import HEADS
from archdsl.ops import OPS_BY_NAME
from archdsl.source import Map, Scalar, Seq
from archdsl.source.faults import reading

_NAME = r"[A-Za-z_][\w.]*"
_NAMES = rf"{_NAME}(?:\s*,\s*{_NAME})*"
_GROWTHS = (
    r"[Dd]ense\s*\(\s*(?P<count>\w+)\s*,\s*(?P<layer>.+)\)",
    r"[Dd]ense\s*\(\s*(?P<layer>.+),\s*(?P<count>\d+)\s*\)",
    r"dense\s+(?P<layer>\S.*?)\s*[*x]\s*(?P<count>\d+)",
    r"dense\s+(?P<count>\d+)\s+(?:x\s+)?(?P<layer>[A-Za-z_].*)",
)
_READS = re.compile(rf"(?P<node>.+?)\s*<-\s*(?P<merge>[\w.]*)\s*[\[(]{{1,2}}(?P<names>{_NAMES})[\])]{{1,2}}")
_MERGE = re.compile(rf"(?P<merge>\w+)\s*\[(?P<names>{_NAMES})\]")
_COUNTED = re.compile(r"(\d{1,4}) ?x ((\w+)(?:\(.*\))?)")
_SEPARABLE = re.compile(
    r"((?:\d+x)+\d+ )?(?:sep|separable)[-_ ]?conv(?:\dd)? (\w+)((?: /\d)?)((?: \w+)*)(?: <- ([\w.-]+))?", re.IGNORECASE
)
_ORDERED = re.compile(r"[A-Za-z]\w*(?:-[A-Za-z]\w*(?:\((?:\d+x)+\d+\))?)+")


def almost(text: str, blocks: Collection[str]) -> Answer | None:
    """Return the node that a text means; None if it is nothing of the above. Raises Hint if its values are missing."""
    for pattern in _GROWTHS:
        growth = re.fullmatch(pattern, text, re.DOTALL)
        if growth and _is_node(growth["layer"].strip(), blocks):
            return Answer(f"dense {growth['count']} * {growth['layer'].strip()}", certain=True)
    if read := reading(text):
        return Answer(read, certain=True)
    if (read_all := _READS.fullmatch(text)) and (op := _merge(read_all["merge"] or "concat")):
        return _read_merge(read_all["node"], op, read_all)
    if (merge := _MERGE.fullmatch(text)) and (op := _merge(merge["merge"])):
        return Answer(f"{op} <- {_listed(merge)}", certain=True)
    if (counted := _COUNTED.fullmatch(text)) and (counted[3] in blocks or counted[3] in HEADS):
        if counted[3] in blocks:
            return Answer(f"{counted[1]} * {counted[2]}", certain=True)
        raise Hint(f"`{counted[1]} * ...` repeats a node, and {head_help(counted[3])}")
    if separable := _SEPARABLE.fullmatch(text):
        window, out, stride, rest, source = separable.groups()
        nodes = f"[{window or '3x3 '}dwconv nobias{stride}, 1x1 conv {out}{rest}]"
        return Answer(reading(f"{nodes} <- {source}") if source else nodes)
    if "(" in text and _ORDERED.fullmatch(text):
        return _in_order(text)
    return None


def _is_node(text: str, blocks: Collection[str]) -> bool:
    """Whether an argument is a block, a list, or an op with values, and not the number or activation of a layer."""
    op = re.match(r"(?:[\dx]+ )?(\w+) ", text)
    block = re.match(r"(\w+)\s*(?:\(.*\))?\s*$", text, re.DOTALL)
    return text[:1] == "[" or bool(block and block[1] in blocks) or bool(op and op[1] in OPS_BY_NAME)


def _merge(word: str) -> str:
    """The op of any number of inputs that a word names; empty if none."""
    row = find(word)
    return row.op if row is not None and OPS_BY_NAME[row.op].arity[1] is None else ""


def _listed(match: re.Match[str]) -> str:
    return ", ".join(re.findall(_NAME, match["names"]))


def _read_merge(node: str, op: str, match: re.Match[str]) -> Answer:
    """A node that reads a merge of its own."""
    write = f"{op} <- {_listed(match)}"
    if _merge(node.strip()) == node.strip():
        return Answer(f"{node} <- {_listed(match)}", certain=True)
    note = "" if match["merge"] else "; or `add` in place of `concat`"
    return Answer(f"[{plain_or_quoted(write, flow=True)}, {plain_or_quoted(node, flow=True)}]", note=note)


def _in_order(text: str) -> Answer | None:
    """The nodes of `BN-ReLU-Conv(3x3)`; their numbers of filters are missing. Raises Hint."""
    nodes = []
    for word in text.split("-"):
        name, _, window = word.rstrip(")").partition("(")
        if not (op := op_of(name.lower())):
            return None
        nodes.append(f"{window} {op}".strip() + " 64" * (OPS_BY_NAME[op].positional[:1] == ("out",)))
    raise Hint(f"write a list of nodes, as in `[{', '.join(nodes)}]`")


def call_with_arguments(tree: Map, key: str) -> tuple[str, tuple[Fix, ...]]:
    """Return the help and the fix for `{call: fire, args: [16, 64]}`; empty if its values cannot be read."""
    call, value = tree.get("call"), tree.entries[key].value
    if key not in ("args", "arguments", "params", "kwargs") or not isinstance(call, Scalar) or "(" in call.text:
        return "", ()
    if isinstance(value, Map):
        values = [f"{name}={entry.value.span.text}" for name, entry in value.entries.items()]
    else:
        values = [item.span.text for item in (value.items if isinstance(value, Seq) else (value,))]
    text = f"{call.text}({', '.join(values)})"
    if "\n" in text or len(text) > 80:
        return "", ()
    written = plain_or_quoted(text, flow=tree.flow)
    help_ = f"write `call: {written}`"
    removals = removing(key, value.span, safe=True)
    return help_, tuple(Fix(help_, (Edit(call.span, written), *removal.edits), safe=True) for removal in removals)
