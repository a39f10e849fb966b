"""Answers a node in the notation of another tool or of a paper with the node that it stands for.

This package is imported only when a node has errors. A proposal is given only if it can be read as a node.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any, NamedTuple

from archdsl.diagnostics import ArchError, Diagnostic, error
from archdsl.language.foreign.calls import Call, NotACall, parse_call
from archdsl.language.foreign.convert import CURRENT, NEITHER, Converted, Hint, Unknown, convert, convert_call
from archdsl.language.foreign.layers import ROWS, Row, field_of, find
from archdsl.language.foreign.missing import why_missing
from archdsl.language.foreign.words import op_of, read_words, repeated
from archdsl.language.foreign.write import nodes_text
from archdsl.language.hints import LOOKALIKE
from archdsl.language.keys import COMMON_KEYS
from archdsl.ops import OPS_BY_NAME
from archdsl.source import Map, Scalar, Seq, Tree


class Context(NamedTuple):
    """Where a node is written: its key, the blocks of the spec, and a check of proposals."""

    readable: Callable[[str], bool]
    blocks: Collection[str] = ()
    key: str = ""


class Answer(NamedTuple):
    """What to write instead of a node. `tool` is empty for a loose notation."""

    write: str
    tool: str = ""
    note: str = ""


MAX_TEXT = 1_000
_KEPT = frozenset(("E0302", "E0309", "E0310"))
"""Errors about one word of a node that is otherwise ours: they keep their message and get a proposal."""
_TYPE_KEYS = ("type", "class_name", "op_type", "layer_type", "module", "op", "layer", "kind", "_target_")
_NESTED = ("config", "params", "kwargs", "attrs", "attributes", "arguments", "parameters", "args")
_TAIL = re.compile(r"(?P<head>(?:\d{1,4} \* )?)(?P<node>.*?)(?P<tail>(?:\s+(?:as|<-|when)\s.*)?)", re.DOTALL)
_NAMES = r"[A-Za-z_][\w.]*"


def answered(problems: Sequence[Diagnostic], tree: Tree, context: Context) -> ArchError | None:
    """Return one error that answers a node with these errors; None if its notation is not known."""
    first = problems[0]
    if first.code == "E0319":  # both readings are in its help
        return None
    try:
        answer = _answer(tree, context)
    except Hint as problem:
        what = f"`{_short(tree)}` is not the notation of a spec"
        return _missing(first, tree) or error("E0318", what, tree.span, help=problem.help)
    except (Unknown, NotACall, ValueError, TypeError, ArithmeticError):
        answer = None
    if answer is None or not context.readable(answer.write):
        return _missing(first, tree)
    help_ = f"write `{answer.write}`{answer.note}"
    if isinstance(tree, Scalar) and not isinstance(tree.value, str):
        return ArchError(replace(first, help=f"{help_}; the key `{context.key}` is only the name of the node"))
    if not answer.tool and first.code in _KEPT:
        return ArchError(replace(first, help=help_))
    what = f"the notation of {answer.tool}" if answer.tool else "not the notation of a spec"
    return error("E0318", f"`{_short(tree)}` is {what}", tree.span, help=help_)


def _short(tree: Tree) -> str:
    text = " ".join(tree.span.text.split()).strip("\"'")
    return text if len(text) <= 60 else f"{text[:57]}..."


def _missing(first: Diagnostic, tree: Tree) -> ArchError | None:
    """The error for a word of a node that archdsl knows of but does not have, with the reason."""
    named: list[Scalar] = []
    if isinstance(tree, Scalar):
        if re.fullmatch(rf"(?:\w+\s*=\s*)?(?:self\.)?\w+\((?:{'|'.join(CURRENT)})\)", tree.text):
            help_ = "nodes run in the order in which they are written: remove this line"
            return error("E0318", f"`{_short(tree)}` is code, and not a node", tree.span, help=help_)
        marked = first.code in ("E0301", "E0309", "E0310")
        if marked and first.span is not None and re.fullmatch(r"[A-Za-z_]\w*(=.*)?", first.span.text):
            named = [Scalar(first.span.text, first.span.text, first.span)]
        if first.code in ("E0301", "E0303"):
            words = re.finditer(r"(?<![\w.])[A-Za-z_][\w.]*", tree.text[:MAX_TEXT])
            named += [tree.piece(*word.span()) for word in islice(words, 2 if first.code == "E0301" else 1)]
    elif isinstance(tree, Map):
        named = [e.value for k, e in tree.entries.items() if k in _TYPE_KEYS and isinstance(e.value, Scalar)]
    elif len(tree.items) == 4 and isinstance(tree.items[2], Scalar):
        named = [tree.items[2]]
    for word in named:
        name = re.split(r"[(=\[ ]", word.text)[0]
        if why_missing(name):
            return error("E0301", f"there is no op `{name}`", word.span, help=why_missing(name))
    return None


def _answer(tree: Tree, context: Context) -> Answer | None:
    if isinstance(tree, Map):
        return _of_mapping(tree, context)
    if isinstance(tree, Seq):
        return _of_row(tree, context)
    if len(tree.text) > MAX_TEXT:
        return None
    name = re.sub(r"_?\d+$", "", context.key)
    if isinstance(tree.value, str):
        try:
            return _of_text(tree.text, context)
        except (NotACall, Unknown):
            if not tree.text[:1].isdigit() or not op_of(name.lower()):
                raise
    return _of_words(f"{name} {tree.text if tree.value is not None else ''}") if op_of(name.lower()) else None


# --- texts --------------------------------------------------------------------------------------------------


def _of_text(text: str, context: Context) -> Answer | None:
    """The answer to a string: without its comment, its repeat, and what follows `as`, `<-` and `when`."""
    comment = re.fullmatch(r"(.*?\S)\s*//\s*([A-Za-z]\w*(?:\s.*)?)", text, re.DOTALL)
    if comment and context.readable(comment[1]):
        return Answer(f"{comment[1]}  # {comment[2]}", note="; a comment begins with `#`")
    plain = _without_lookalikes(text)
    if plain != text:
        answer = Answer(plain) if context.readable(plain) else _of_text(plain, context)
        odd = next(c for c in text if c in LOOKALIKE)
        return answer and answer._replace(note=f"; `{odd}` is U+{ord(odd):04X}, {unicodedata.name(odd)}")
    merge = re.fullmatch(rf"(\w+)(?:\s+<-)?\s+({_NAMES}(?:[\s,]+{_NAMES})+)", text)
    if merge and merge[1] in OPS_BY_NAME and OPS_BY_NAME[merge[1]].arity[1] is None:
        names = re.findall(_NAMES, merge[2])
        return Answer(f"{merge[1]} <- {', '.join(names)}")
    match = _TAIL.fullmatch(text)
    assert match is not None
    answer = _of_node(match["node"].strip(), context)
    if answer is None or not (match["head"] or match["tail"]):
        return answer
    return answer._replace(write=f"{match['head']}{answer.write}{match['tail']}")


def _without_lookalikes(text: str) -> str:
    return "".join(LOOKALIKE.get(c, c) for c in text)


def _of_node(text: str, context: Context) -> Answer | None:
    section = re.fullmatch(r"(\[\w+\])\s*(.*)", text, re.DOTALL)
    if section and section[1] in ROWS:
        pairs = re.findall(r"(\w+)\s*=\s*(\S+)", section[2])
        return said(convert(ROWS[section[1]], (), {k: number(v) for k, v in pairs}))
    block = re.fullmatch(r"(\w+)\s*[\[{](.*)[\]}]", text)
    if block and block[1] in context.blocks:
        return Answer(f"{block[1]}({block[2]})")
    parts = re.split(r"\s+(?:->|\u2192|>>)\s+", text)
    if len(parts) > 1 and not any(part[-1:].isdigit() for part in parts[:-1]):
        return _chain(parts, context)
    try:
        call = parse_call(text)
        return said(convert_call(call if isinstance(call, Call) else Call(call, (), {})))
    except (NotACall, Unknown) as problem:
        try:
            return _of_words(text)
        except Unknown:
            raise problem from None


def _chain(parts: Sequence[str], context: Context) -> Answer | None:
    """The answer to `Dense(64) -> Dropout(0.5)`."""
    answers = [_of_node(part, context) for part in parts]
    known = [answer for answer in answers if answer is not None]
    if len(known) < len(parts):
        return None
    inner = ", ".join(re.sub(r"^\[(.*)\]$", r"\1", answer.write) for answer in known)
    return Answer(f"[{inner}]", next((answer.tool for answer in known if answer.tool), ""))


def _of_words(text: str) -> Answer:
    count, body, bracketed = repeated(text)
    rows = [row for row in re.split(r"[;\n]|\],?\s*\[", body) if row.strip()] if bracketed else [body]
    read = [read_words(row) for row in rows]
    layers = [layer for layers, _ in read for layer in layers]
    node, note = nodes_text(layers), next((note for _, note in read if note), "")
    if re.match(r"\d+ (?!x )[a-z]", body):
        note += f"; a repeat is `{body.split()[0]} * ...`"
    if len(layers) > 1 and not bracketed:
        note += "; only a norm and an activation can follow an op"
    if count and len(rows) > 1:
        node = f"{{residual: {node}, repeat: {count}}}"
    elif count:
        node = f"{count} * {node}" if len(layers) == 1 else f"{{do: {node}, repeat: {count}}}"
    return Answer(node, note=note)


def said(converted: Converted) -> Answer:
    """Return the answer with these ops, and with what has no equivalent."""
    left_out = ", ".join(f"`{name[:40]}`" for name in converted.left_out)
    verb = "has" if len(converted.left_out) == 1 else "have"
    return Answer(
        nodes_text(converted.layers),
        converted.tool,
        f"; {left_out} {verb} no equivalent here" if left_out else "",
    )


def number(text: str) -> Any:
    """Return a text as a number if it is one."""
    return int(text) if re.fullmatch(r"-?\d{1,9}", text) else float(text) if re.fullmatch(r"\d*\.\d+", text) else text


# --- mappings and rows --------------------------------------------------------------------------------------


def _of_mapping(tree: Map, context: Context) -> Answer | None:
    """The answer to `{type: Conv2D, filters: 32}`, `{Conv2D: {filters: 32}}` and, below a key, `{filters: 32}`."""
    name_key = next((k for k in _TYPE_KEYS if isinstance(tree.get(k), Scalar)), None)
    if name_key is None and tree.entries:
        (name, entry), *others = tree.entries.items()
        row = None if _has_nodes(entry.value) else find(name)
        if row is not None and all(field_of(k, row) for k, _ in others):
            return said(_with_arguments(row, entry.value, Map(dict(others), tree.span, tree.flow)))
    if name_key is None:
        row = find(re.sub(r"_?\d+$", "", context.key))
        if row is None or not all(field_of(k, row) for k in tree.entries):
            return None
        return said(_with_arguments(row, tree))
    named = tree.entries[name_key].value
    row = find(named.value) if isinstance(named, Scalar) and isinstance(named.value, str) else None
    rest = {k: e for k, e in tree.entries.items() if k not in (name_key, "from")}
    sources = _plain(tree.entries["from"].value) if "from" in tree.entries else ()
    try:
        if row is None or any(k in COMMON_KEYS for k in rest):
            raise Unknown
        answer = said(_with_arguments(row, Map(rest, tree.span, tree.flow)))
        names = ", ".join(map(str, sources if isinstance(sources, tuple) else (sources,)))
        return answer._replace(write=f"{answer.write} <- {names}") if names else answer
    except Unknown as problem:
        # The name of a node may be `type`, too.
        is_name = not OPS_BY_NAME.keys().isdisjoint(named.span.text.split())  # A node may have the name `type`.
        if isinstance(problem, Hint) or name_key not in _TYPE_KEYS[:3] or is_name:
            raise
        raise Hint(NEITHER.format(named.span.text[:40])) from None


def _has_nodes(tree: Tree) -> bool:
    """Whether a value may be that of a named node: a text, or a list of more than the names of tensors."""
    if isinstance(tree, Seq):
        return any(isinstance(item, Scalar) and " " in item.text for item in tree.items)
    return isinstance(tree, Scalar) and isinstance(tree.value, str)


def _with_arguments(row: Row, *trees: Tree) -> Converted:
    """The layer of a row with the arguments that mappings, lists and single values write."""
    args: tuple[Any, ...] = ()
    keywords: dict[str, Any] = {}
    for tree in trees:
        more, named = _arguments(tree)
        args, keywords = (*args, *more), {**keywords, **named}
    own = OPS_BY_NAME[row.op].model_fields if row.op in OPS_BY_NAME else {}
    if not args and all(k in (*own, "norm", "act") for k in keywords):
        row = Row("", row.op, (), {})
    inputs = keywords.get("bottom") or keywords.get("inputs")
    op = OPS_BY_NAME.get(row.op)
    joins = row.op == "eltwise" or (op is not None and op.arity[1] is None)
    inputs = inputs or args
    if joins and isinstance(inputs, tuple) and all(isinstance(name, str) for name in inputs):
        converted = convert(row, (), keywords)
        return converted._replace(layers=(converted.layers[0]._replace(inputs=tuple(map(str, inputs))),))
    return convert(row, args, keywords)


def _arguments(tree: Tree) -> tuple[tuple[Any, ...], dict[str, Any]]:
    if not isinstance(tree, Map):
        item = _plain(tree)
        return (item if isinstance(item, tuple) else () if item is None else (item,)), {}
    args: tuple[Any, ...] = ()
    keywords: dict[str, Any] = {}
    for name, entry in tree.entries.items():
        if name in _NESTED or name.endswith("_param"):
            inner_args, inner = _arguments(entry.value)
            args, keywords = (*args, *inner_args), {**keywords, **inner}
        else:
            keywords[name] = _plain(entry.value)
    return args, keywords


def _plain(tree: Tree) -> Any:
    if isinstance(tree, Scalar):
        words = {"None": None, "True": True, "False": False}
        return words.get(tree.value, tree.value) if isinstance(tree.value, str) else tree.value
    if isinstance(tree, Seq):
        return tuple(map(_plain, tree.items))
    return {name: _plain(entry.value) for name, entry in tree.entries.items()}


def _of_row(tree: Seq, context: Context) -> Answer | None:
    """The answer to a row of Ultralytics, `[-1, 1, Conv, [64, 3, 2]]`, and to `[Conv2D, 32, 3]`."""
    items = _plain(tree)
    if items and isinstance(items[0], str) and not all(isinstance(item, str) for item in items):
        row = find(items[0])
        return said(convert(row, items[1:], {})) if row is not None else None
    if len(items) != 4 or not isinstance(items[2], str) or not isinstance(items[3], tuple):
        return None
    row = ROWS.get(f"={items[2]}") or find(items[2])
    if row is None or not isinstance(items[1], int):
        return None
    sources = items[0] if isinstance(items[0], tuple) else (items[0],)
    layers = convert(row, () if row.op == "concat" else items[3], {}).layers
    if sources != (-1,):
        example = nodes_text((layers[0]._replace(inputs=tuple("abcdefgh"[: len(sources)])), *layers[1:]))
        raise Hint(f"name the nodes (`a: ...`), and write `{example}` with the names of those that it reads")
    repeat = f"{items[1]} * " if items[1] > 1 else ""
    return Answer(repeat + nodes_text(layers), "Ultralytics")
