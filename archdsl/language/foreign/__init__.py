"""Answers a node in the notation of another tool or of a paper with the node that it stands for.

This package is imported only when a node has errors. A proposal is given only if it can be read as a node.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from itertools import islice, takewhile
from typing import Any, NamedTuple

from archdsl.axes import axes_of
from archdsl.diagnostics import ArchError, Diagnostic, Fix, Span, error, replacing
from archdsl.language.foreign.almost import almost
from archdsl.language.foreign.calls import TYPE_KEYS, Call, Hint, Unknown, fields_in, mapping_call, parse_call, plain
from archdsl.language.foreign.convert import CURRENT, NOT_AN_OP, convert, join
from archdsl.language.foreign.layers import find
from archdsl.language.foreign.missing import why_missing
from archdsl.language.foreign.words import answer_words, op_of
from archdsl.language.foreign.write import Answer
from archdsl.language.format.yaml_writer import plain_or_quoted
from archdsl.language.hints import LOOKALIKE
from archdsl.language.keys import COMMON_KEYS
from archdsl.ops import OPS_BY_NAME
from archdsl.source import Map, Scalar, Seq, Tree


class Context(NamedTuple):
    """Where a node is written: its key, the blocks and the text of the spec, and a check of proposals."""

    readable: Callable[[str], bool]
    blocks: Collection[str] = ()
    key: str = ""
    spec: str = ""
    """The text of the spec before the key, and after the node."""

    @property
    def axes(self) -> int:
        """The axes of the inputs in the text; 0 if they differ or are not known."""
        section = re.search(r"^input:(.*(?:\n[ \t].*)*)", self.spec, re.MULTILINE)
        sizes = re.findall(r"\d+(?:x\d+)+|\[[^]]+,[^]]+\]", section[1]) if section else ()
        counts = {axes_of(re.split("[x,]", size)) for size in sizes}
        return counts.pop() if len(counts) == 1 else 0

    def written(self, name: str) -> bool:
        """Whether the spec has a node, input or argument of this name, perhaps in another place."""
        return re.search(rf"(?<!\w){name}[\"']?\s*:(?!\S)|\bas {name}\b", self.spec) is not None


MAX_TEXT = 1_000
_KEPT = frozenset(("E0302", "E0309", "E0310"))
"""Errors about one word of a node that is otherwise ours: they keep their message and get a proposal."""
_TAIL = re.compile(r"(?P<head>(?:\d{1,4} \* )?)(?P<node>.*?)(?P<tail>(?:\s+(?:as|<-|when)\s.*)?)", re.DOTALL)
_NAMES = r"[A-Za-z_][\w.]*"
_WORDS = r"(?<![\w.])[A-Za-z]+(?:[- ][A-Za-z]+)+"
"""Several words that name one op: `deformable conv`."""
_CODE = re.compile(rf"(?:\w+\s*=\s*)?(?:self\.)?(\w+)\(({'|'.join(CURRENT)})\)")


def answered(problems: Sequence[Diagnostic], tree: Tree, context: Context) -> ArchError | None:
    """Return one error that answers a node with these errors; None if its notation is not known."""
    first, text = problems[0], _shortened(tree)
    span = tree.span
    before = re.sub(r"[\w.\"']+\s*:\s*\Z", "", span.source.text[: span.start])
    context = context._replace(spec=before + span.source.text[span.end :])
    if first.code == "E0319":  # both readings are in its help
        return None
    try:
        answer = _answer(tree, context)
    except Hint as problem:
        what = f"`{text}` is not the notation of a spec"
        return _missing_op(first, tree) or error("E0318", what, tree.span, help=problem.help)
    except (Unknown, ValueError, TypeError, ArithmeticError, LookupError):
        answer = None
    if answer is None or not context.readable(answer.write):
        code = _CODE.fullmatch(tree.text) if isinstance(tree, Scalar) else None
        if code:
            help_ = "nodes run in the order in which they are written: remove this line"
            if context.written(code[2]) and context.readable(f"again {code[1]} <- {code[2]}"):
                help_ += f", or run the node once more with `again {code[1]} <- {code[2]}`"
            return error("E0318", f"`{text}` is code, and not a node", tree.span, help=help_)
        return _missing_op(first, tree)
    help_ = f"write `{answer.write}`{answer.note}"
    if isinstance(tree, Scalar) and not isinstance(tree.value, str):
        help_ = f"{help_}; the key `{context.key}` is only the name of the node"
        return ArchError(replace(first, help=help_, fixes=_fixes(answer, tree, False)))
    fixes = _fixes(answer, tree, bool(answer.tool) or answer.certain or first.code in _KEPT)
    if not answer.tool and first.code in _KEPT:
        return ArchError(replace(first, help=help_, fixes=fixes))
    what = f"the notation of {answer.tool}" if answer.tool else "not the notation of a spec"
    return error("E0318", f"`{text}` is {what}", tree.span, help=help_, fixes=fixes)


def _fixes(answer: Answer, tree: Tree, certain: bool) -> tuple[Fix, ...]:
    """The fix that writes the answer in place of the node.

    There is none if the answer drops a part of the node. It is safe if nothing was guessed, and no `defaults` of the
    spec can change what an op does.
    """
    if answer.lossy:
        return ()
    source, text = tree.span.source, answer.write
    if text[0] not in "[{" and "  # " not in text:
        text = plain_or_quoted(text, flow=any(char in tree.span.before for char in "[{"))
    safe = (
        certain and (answer.certain or not answer.note) and not re.search(r"^defaults\s*:", source.text, re.MULTILINE)
    )
    place = Span(source, tree.span.start, tree.span.start + len(tree.span.text.rstrip()))
    return (replacing(place, text, safe=safe),)


def _shortened(tree: Tree) -> str:
    text = " ".join(tree.span.text.split()).strip("\"'")
    return text if len(text) <= 60 else f"{text[:57]}..."


def _missing_op(first: Diagnostic, tree: Tree) -> ArchError | None:
    """The error for a word of a node that archdsl knows of but does not have, with the reason."""
    words: list[Scalar] = []
    if isinstance(tree, Map):
        words = [e.value for k, e in tree.entries.items() if k in TYPE_KEYS and isinstance(e.value, Scalar)]
    elif isinstance(tree, Seq):
        words = [item for item in tree.items[2:3] if len(tree.items) == 4 and isinstance(item, Scalar)]
    else:
        if first.code in ("E0301", "E0309", "E0310") and first.span is not None:
            words = [Scalar(first.span.text, first.span.text, first.span)]
        if first.code in ("E0301", "E0303"):
            found = re.finditer(rf"(?<![\w.]){_NAMES}", tree.text[:MAX_TEXT])
            several = re.search(_WORDS, tree.text[:MAX_TEXT])
            words += [tree.piece(*several.span())] if several else []
            words += [tree.piece(*word.span()) for word in islice(found, 2 if first.code == "E0301" else 1)]
    for word in words:
        name = re.split(r"[(=\[]", word.text)[0]
        if reason := why_missing(name):
            return error("E0301", f"there is no op `{name}`", word.span, help=reason)
    return None


def _answer(tree: Tree, context: Context) -> Answer | None:
    if isinstance(tree, Map):
        return _answer_mapping(tree, context)
    if isinstance(tree, Seq):
        return _answer_row(tree, context)
    if len(tree.text) > MAX_TEXT:
        return None
    op = re.sub(r"_?\d+$", "", context.key).lower()
    if isinstance(tree.value, str):
        try:
            return _answer_text(tree.text, context)
        except Unknown:
            if not tree.text[:1].isdigit() or not op_of(op):
                raise
    return answer_words(f"{op} {tree.text if tree.value is not None else ''}", context.axes) if op_of(op) else None


def _answer_text(text: str, context: Context) -> Answer | None:
    """The answer to a string: without its comment, its repeat, and what follows `as`, `<-` and `when`."""
    comment = re.fullmatch(r"(.*?\S)\s*//\s*([A-Za-z]\w*(?:\s.*)?)", text, re.DOTALL)
    if comment and context.readable(comment[1]):
        return Answer(f"{comment[1]}  # {comment[2]}", note="; a comment begins with `#`", certain=True)
    ascii_text = "".join(LOOKALIKE.get(c, c) for c in text)
    if ascii_text != text:
        own = context.readable(ascii_text)
        answer = Answer(ascii_text, certain=True) if own else _answer_text(ascii_text, context)
        odd = next(c for c in text if c in LOOKALIKE)
        return answer and answer._replace(note=f"; `{odd}` is U+{ord(odd):04X}, {unicodedata.name(odd)}")
    if (near := almost(text, context.blocks)) is not None:
        return near
    merge = re.fullmatch(rf"(\w+)(?:\s+<-)?\s+({_NAMES}(?:[\s,]+{_NAMES})+)", text)
    if merge and merge[1] in OPS_BY_NAME and OPS_BY_NAME[merge[1]].arity[1] is None:
        return Answer(f"{merge[1]} <- {', '.join(re.findall(_NAMES, merge[2]))}")
    match = _TAIL.fullmatch(text)
    assert match is not None
    answer = _answer_node(match["node"].strip(), context)
    return answer._replace(write=f"{match['head']}{answer.write}{match['tail']}")


def _answer_node(text: str, context: Context) -> Answer:
    section = re.fullmatch(r"(\[\w+\])\s*(.*)", text, re.DOTALL)
    if section and find(section[1]) is not None:
        return convert(Call(section[1], (), fields_in(section[2]))).answer(context.written, context.axes)
    window = re.fullmatch(r"([^\W_]\w*)\s+(\w+)(\s.*)?", text)
    if window and OPS_BY_NAME.get(window[2]) and (sizes := _argument_sizes(window[1], context)):
        words = (window[3] or "").split()
        values = len(list(takewhile(lambda word: word[0] != "/" and "=" not in word, words)))
        at = min(values, len(OPS_BY_NAME[window[2]].positional))
        return Answer(" ".join([window[2], *words[:at], f"kernel={sizes}", *words[at:]]))
    block = re.fullmatch(r"(\w+)\s*[\[{](.*)[\]}]", text)
    if block and block[1] in context.blocks:
        return Answer(f"{block[1]}({block[2]})")
    parts = re.split(r"\s+(?:->|\u2192|>>)\s+", text)
    try:
        return join([convert(parse_call(part)) for part in parts]).answer(context.written, context.axes)
    except Unknown as problem:
        try:
            return answer_words(text, context.axes)
        except Unknown:
            raise problem from None


def _argument_sizes(window: str, context: Context) -> str:
    """The value of `kernel` for the window `kxk` or `1xkxk` of arguments; empty for another word."""
    sizes = [window] if context.written(window) else window.split("x")
    if all(map(str.isdigit, sizes)) or not all(size.isdigit() or context.written(size) for size in sizes):
        return ""
    return sizes[0] if len(set(sizes)) == 1 else f"[{','.join(sizes)}]"


def _answer_mapping(tree: Map, context: Context) -> Answer:
    call = mapping_call(tree, context.key)
    type_key = next((k for k in TYPE_KEYS if isinstance(tree.get(k), Scalar)), "")
    try:
        if any(key in COMMON_KEYS for key in call.keywords):
            raise Unknown
        return convert(call).answer(context.written, context.axes)
    except Unknown as problem:
        is_op = not OPS_BY_NAME.keys().isdisjoint(call.name.split())  # a node may have the name `type`
        if isinstance(problem, Hint) or is_op or type_key not in TYPE_KEYS[:3]:
            raise
        raise Hint(NOT_AN_OP.format(call.name[:40])) from None


def _answer_row(tree: Seq, context: Context) -> Answer | None:
    """The answer to a row of Ultralytics, `[-1, 1, Conv, [64, 3, 2]]`, and to `[Conv2D, 32, 3]`."""
    items: tuple[Any, ...] = plain(tree) or ("",)
    first, *others = items
    if any(isinstance(item, dict) for item in others):  # a list of nodes
        return None
    if isinstance(first, str) and not all(isinstance(item, str) for item in others):
        return convert(Call(first, tuple(others))).answer(context.written, context.axes)
    if len(items) != 4:
        return None
    sources, repeat, name, args = items
    if not isinstance(name, str) or not isinstance(args, tuple) or type(repeat) is not int:
        return None
    read = sources if isinstance(sources, tuple) else () if sources == -1 else (sources,)
    named = all(isinstance(source, str) for source in read)
    inputs = read if named else tuple("abcdefgh"[: len(read)])
    answer = convert(Call(f"Ultralytics.{name}", args, {}, inputs)).answer(inputs.__contains__)
    listed = ", ".join(map("`{}`".format, inputs))
    note = "" if named else f"; {listed} are the nodes that it reads: give them names"
    return Answer(f"{repeat} * {answer.write}" if repeat > 1 else answer.write, answer.tool, answer.note + note)
