"""Turns the short form of a node, `7x7 conv 64 /2`, into its long form, `{op: conv, out: 64, ...}`.

The long form is a located tree: each value has the span of its characters. Nothing is evaluated here; a value that is
not a plain number stays text and is later parsed as an expression.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from archdsl.diagnostics import ArchError, Edit, Fix, Label, Proposal, closest, did_you_mean, error
from archdsl.language.hints import explain_unknown_op, suggest_field, values_help
from archdsl.ops import OPS_BY_NAME
from archdsl.ops.base import Op
from archdsl.source import Entry, Map, Scalar, Seq, Tree
from archdsl.source.brackets import OPENING, outside, unmatched

_SIZES = re.compile(r"\d{1,10}(x\d{1,10})*$", re.ASCII)
_FIELD = re.compile(r"([A-Za-z_]\w*)=(?!=)", re.ASCII)
_NUMBER = re.compile(r"-?\d{1,18}$", re.ASCII)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_OPERATORS = frozenset("+ - * / // % ** == != < <= > >= and or not if else".split())


@dataclass(frozen=True, slots=True)
class Word:
    """A run of characters without spaces outside of brackets: `text == scalar.text[start:end]`."""

    text: str
    start: int
    end: int


def words(scalar: Scalar) -> list[Word]:
    """Return the words of a short form. Raises E0302 if brackets do not match."""
    text = scalar.text
    wrong = unmatched(text)
    if wrong is not None:
        fault = "is never closed" if text[wrong] in OPENING else "closes nothing"
        raise error("E0302", f"`{text[wrong]}` {fault}", scalar.part(wrong, wrong + 1))
    spaces = outside(text, " \t\n")
    borders = zip([-1, *spaces], [*spaces, len(text)], strict=True)
    return [Word(text[before + 1 : end], before + 1, end) for before, end in borders if end > before + 1]


def desugar(scalar: Scalar, blocks: Collection[str] = ()) -> Map:
    """Return the long form of a short form: a mapping with `op`, `call` or `dense`. `blocks` are names for the help.

    Raises E0301, E0302, E0309, E0310, E0319.
    """
    node = words(scalar)
    entries: dict[str, Entry] = {}

    def put(key: str, start: int, end: int, value: Tree | None = None) -> None:
        entries[key] = Entry(scalar.meant(start, end, key), value if value is not None else _value(scalar, start, end))

    node = _cut_tail(scalar, node, put)
    if node and node[0].text == "dense" and len(node) > 1:
        return _dense(scalar, node, entries, put)
    star = next((n for n, w in enumerate(node) if w.text == "*"), None)
    if star is not None:
        _check_count(scalar, node, star)
        put("repeat", node[0].start, node[star - 1].end)
        node = node[star + 1 :]
    if not node:
        raise error("E0302", "expected a node", scalar.span, help="write an op, e.g. `3x3 conv 64`")
    _head(scalar, node, entries, put, blocks)
    return Map(entries, scalar.span, False)


Put = Callable[..., None]


def _check_count(scalar: Scalar, node: list[Word], star: int) -> None:
    """Raises E0302 if there is no count before a `*`, or no node after it."""
    where = scalar.part(node[star].start, node[star].end)
    if star == 0 or star + 1 == len(node):
        what = "a count before" if star == 0 else "a node after"
        raise error("E0302", f"`*` needs {what} it", where, help="`3 * 3x3 conv 64` repeats a node three times")
    if any(w.text in OPS_BY_NAME or _is_window(w) for w in node[:star]):
        product = f"{node[star - 1].text} * {node[star + 1].text}"
        raise error(
            "E0302",
            "the repeat count must come first",
            where,
            help=f"`3 * 3x3 conv 64` repeats a node; write a product in parentheses: `({product})`",
        )


def _cut_tail(scalar: Scalar, node: list[Word], put: Put) -> list[Word]:
    """Store `when ...`, `<- ...` and `as ...`, and return the words before them."""
    for mark, key in (("when", "when"), ("<-", "from"), ("as", "as")):
        at = next((n for n, w in enumerate(node) if w.text == mark), None)
        if at is None:
            continue
        if at + 1 == len(node):
            raise error("E0302", f"expected a value after `{mark}`", scalar.part(node[at].start, node[at].end))
        start, end = node[at + 1].start, node[-1].end
        if key == "as" and at + 2 != len(node):
            raise error("E0302", "a name pattern must be one word", scalar.part(start, end), help="e.g. `as layer{1}`")
        put(key, start, end, _references(scalar, start, end) if key == "from" else scalar.piece(start, end))
        node = node[:at]
    return node


def _references(scalar: Scalar, start: int, end: int) -> Seq:
    items = pieces(scalar, start, end)
    if not all(item.text for item in items):
        raise error("E0302", "expected a reference before and after each comma", scalar.part(start, end))
    return Seq(tuple(items), scalar.part(start, end), True)


def pieces(scalar: Scalar, start: int, end: int) -> list[Scalar]:
    """Return the items between the commas in part of a text, without the spaces around them."""
    items: list[Scalar] = []
    for piece in scalar.text[start:end].split(","):
        begin = start + len(piece) - len(piece.lstrip())
        items.append(scalar.piece(begin, max(begin + len(piece.strip()), begin)))
        start += len(piece) + 1
    return items


def _dense(scalar: Scalar, node: list[Word], entries: dict[str, Entry], put: Put) -> Map:
    star = next((n for n, w in enumerate(node) if w.text == "*"), None)
    if star is None or star == 1 or star + 1 == len(node):
        raise error(
            "E0302",
            "`dense` needs a count and a layer",
            scalar.span,
            help="write `dense 6 * layer`; a fully connected layer is `fc 10`",
        )
    put("repeat", node[1].start, node[star - 1].end)
    put("dense", node[star + 1].start, node[-1].end, scalar.piece(node[star + 1].start, node[-1].end))
    return Map(entries, scalar.span, False)


def _head(scalar: Scalar, node: list[Word], entries: dict[str, Entry], put: Put, blocks: Collection[str]) -> None:
    """Store the node itself: `[window] op ...`, or a call."""
    kernel = _SIZES.match(node[0].text)
    named = node[1:] if kernel else node
    if not named:
        raise error(
            "E0302",
            "expected an op after the window",
            scalar.part(node[0].start, node[0].end),
            help=f"e.g. `{node[0].text} conv 64`",
        )
    word = named[0]
    if word.text not in OPS_BY_NAME:
        if len(named) > 1 or kernel or not _NAME.match(word.text):
            raise _unknown_op(scalar, word, named[1:], blocks, node[0].text if kernel else "")
        put("call", word.start, word.end, scalar.piece(word.start, word.end))
        return
    op = OPS_BY_NAME[word.text]
    put("op", word.start, word.end, scalar.piece(word.start, word.end))
    if kernel:
        if "kernel" not in op.model_fields:
            raise error(
                "E0309",
                f"`{op.name}` has no window",
                scalar.part(node[0].start, node[0].end),
                help=op.hint if "x" in node[0].text else f"`{node[0].text} * {op.name}` repeats a node",
            )
        put("kernel", node[0].start, node[0].end, _sizes(scalar, node[0].start, node[0].end))
    add_words(scalar, named[1:], op, put, node[0] if kernel else None)


def _sizes(scalar: Scalar, start: int, end: int) -> Seq:
    """Return `3x3` as a list of one number for each axis."""
    items, at = [], start
    for size in scalar.text[start:end].split("x"):
        items.append(scalar.piece(at, at + len(size), int(size)))
        at += len(size) + 1
    return Seq(tuple(items), scalar.part(start, end), True)


def _unknown_op(scalar: Scalar, word: Word, rest: Sequence[Word], blocks: Collection[str], window: str) -> ArchError:
    span = scalar.part(word.start, word.end)
    head, opened, values = word.text.partition("(")
    if rest and opened and _NAME.fullmatch(head) and head not in OPS_BY_NAME and not window:
        raise error(
            "E0302",
            "only `as`, `<-` and `when` can follow a call",
            scalar.part(rest[0].start, rest[-1].end),
            help="write it as a separate node, or add an argument to the block",
        )
    if head in OPS_BY_NAME and opened:
        inner = " ".join(value.strip() for value in values.rstrip(")").split(","))
        return error(
            "E0302",
            f"write the values of `{head}` after it, without parentheses",
            span,
            help=f"write `{f'{window} {head} {inner}'.strip()[:80]}`",
        )
    help_ = explain_unknown_op(word.text, [w.text for w in rest], blocks, window)
    return error("E0301", f"unknown op `{(head or word.text)[:60]}`", span, help=help_)


def add_words(scalar: Scalar, rest: list[Word], op: type[Op], put: Put, window: Word | None = None) -> None:
    """Store the words after an op and its `window`: values, `/stride`, `key=value`, flags, norm and activation."""
    written: dict[str, Word] = {} if window is None else {"kernel": window}
    positional = list(op.positional)
    values: list[Word] = []

    def put_once(key: str, word: Word, start: int, end: int, value: Tree | None = None) -> None:
        if key in written:
            both = scalar.part(written[key].start, written[key].end).to(scalar.part(word.start, word.end))
            copy = scalar.part(written[key].end, word.end)  # with the words between, if there are any
            fixes = (Fix(f"remove `{word.text}`", (Edit(scalar.part(word.start - 1, word.end), ""),), safe=True),)
            same = written[key].text == word.text and copy.text.endswith(f" {word.text}")
            what = f"`{key}` is set twice: `{written[key].text}` and `{word.text}`"
            help_ = f"write only one of them: `{written[key].text}` or `{word.text}`"
            raise error("E0302", what, both, help="" if same else help_, fixes=fixes if same else ())
        written[key] = word
        put(key, start, end, value)

    for word in rest:
        _check_word(scalar, word, op, written)
        _check_owner(scalar, word, op, written)
        start, end = word.start, word.end
        field = _FIELD.match(word.text)
        if _is_stride(word):
            per_axis = _SIZES.match(word.text, 1) and "x" in word.text
            put_once("stride", word, start + 1, end, _sizes(scalar, start + 1, end) if per_axis else None)
        elif field:
            put_once(field[1], word, start + field.end(), end)
        elif word.text in op.flags:
            key, value = op.flags[word.text]
            put_once(key, word, start, end, scalar.meant(start, end, value))
        elif word.text == "linear":
            put_once("act", word, start, end, scalar.meant(start, end, None))
        elif word.text == "plain":
            _check_plain(scalar, word, written)
            put("norm", start, end, scalar.meant(start, end, None))
            put("act", start, end, scalar.meant(start, end, None))
        elif word.text in OPS_BY_NAME and OPS_BY_NAME[word.text].role:
            put_once(OPS_BY_NAME[word.text].role, word, start, end, scalar.piece(start, end))
        elif positional:
            values.append(word)
            put_once(positional.pop(0), word, start, end)
        else:
            raise _surplus(scalar, word, op, values)


def _is_window(word: Word) -> bool:
    return "x" in word.text and _SIZES.match(word.text) is not None


def _is_stride(word: Word) -> bool:
    return word.text.startswith("/") and len(word.text) > 1 and word.text != "//"


def _check_word(scalar: Scalar, word: Word, op: type[Op], written: Mapping[str, Word]) -> None:
    """Raises E0302 for a word in the wrong place, and E0309 for a field that the op does not have."""
    where = scalar.part(word.start, word.end)
    field = _FIELD.match(word.text)
    if _is_window(word) and "kernel" in op.model_fields:
        raise error("E0302", "the window must come before the op", where, help=f"e.g. `{word.text} {op.name} ...`")
    if _is_stride(word):
        _need_field(scalar, op, "stride", word, "no stride")
    elif field:
        if field[1] not in ("norm", "act"):
            _need_field(scalar, op, field[1], word, written=written)
        if field.end() == len(word.text):
            raise error("E0302", f"expected a value after `{word.text}`", where)
    elif _is_norm(word, op) and "act" in written and written["act"].text in OPS_BY_NAME:
        raise error(
            "E0302",
            f"the norm `{word.text}` comes after the activation `{written['act'].text}`",
            where,
            help="write the norm first, or two nodes for this order",
        )


def _check_plain(scalar: Scalar, plain: Word, written: Mapping[str, Word]) -> None:
    """Raises E0302 for `plain` after a norm or an activation, which it would remove."""
    before = written.get("act", written.get("norm"))
    if before is not None:
        raise error(
            "E0302",
            f"`plain` would remove `{before.text}`",
            scalar.part(before.start, before.end).to(scalar.part(plain.start, plain.end)),
            help=f"write `plain` before `{before.text}`, or only one of the two",
        )


def _check_owner(scalar: Scalar, word: Word, op: type[Op], written: Mapping[str, Word]) -> None:
    """Raises an error for a value after a norm or activation: E0319 if it may be meant for that, else E0310."""
    before = written.get("act", written.get("norm"))
    if before is None or before.text == "linear":
        return
    other = OPS_BY_NAME.get(before.text.partition("=")[2] or before.text)
    field = _FIELD.match(word.text)
    if field:
        name = field[1] if other is not None and field[1] in other.model_fields else ""
    elif _is_stride(word) or word.text in _words(op):
        return
    elif other is None or not other.positional or word.text in _OPERATORS or closest(word.text, _words(op)):
        why = f"values of `{op.name}` come before its norm and activation"
        if _NAME.fullmatch(word.text):
            why = f"not a flag, norm or activation of `{op.name}`"
        raise _surplus(scalar, word, op, [], why)
    else:
        name = other.positional[0]
    if name and other is not None:
        raise _unclear(scalar, before, word, op, other, name)


def _unclear(scalar: Scalar, before: Word, word: Word, op: type[Op], other: type[Op], name: str) -> ArchError:
    field = _FIELD.match(word.text)
    value = (word.text[field.end() :] if field else word.text)[:60]
    return error(
        "E0319",
        f"is `{word.text[:60]}` a value of `{other.name}` or of `{op.name}`?",
        scalar.part(before.start, word.end),
        help=f"{values_help(other, name, value)}; values of `{op.name}` come before its norm and activation",
    )


def _words(op: type[Op]) -> list[str]:
    """The words that can follow an op: its flags, and the norms and activations."""
    return [*op.flags, "linear", "plain", *(name for name, other in OPS_BY_NAME.items() if other.role)]


def _is_norm(word: Word, op: type[Op]) -> bool:
    return word.text not in op.flags and word.text in OPS_BY_NAME and OPS_BY_NAME[word.text].role == "norm"


def _need_field(
    scalar: Scalar, op: type[Op], name: str, word: Word, message: str = "", written: Mapping[str, Word] | None = None
) -> None:
    if name not in op.model_fields:
        help_ = suggest_field(name, [*op.model_fields, "norm", "act"], word.text.partition("=")[2])
        meant = help_.right if isinstance(help_, Proposal) else ""
        if meant and (meant in (written or ()) or f" {meant}=" in scalar.text):
            help_ = f"`{meant}` has the same meaning and is set in this node: remove one of them"
        raise error(
            "E0309",
            f"`{op.name}` has {message or f'no field `{name}`'}",
            scalar.part(word.start, word.end),
            help=help_,
        )


def _surplus(scalar: Scalar, word: Word, op: type[Op], values: Sequence[Word], why: str = "") -> ArchError:
    """The error for an unexpected word: it is misspelt, or a misspelt word before it became a value."""
    known = _words(op)
    labels = tuple(
        Label(scalar.part(w.start, w.end), f"`{name}`") for w, name in zip(values, op.positional, strict=False)
    )
    more = " more" if values else ""
    help_ = _surplus_help(word, op, values, known, why)
    return error(
        "E0310",
        f"unexpected `{word.text[:60]}`: {why or f'`{op.name}` takes no{more} values'}",
        scalar.part(word.start, word.end),
        labels=labels,
        help=help_,
    )


def _surplus_help(word: Word, op: type[Op], values: Sequence[Word], known: Collection[str], why: str) -> str:
    near = next((w.text for w in (word, *values) if _NAME.fullmatch(w.text) and closest(w.text, known)), None)
    if word.text in ("<", "->") or word.text.startswith("<-"):
        return "write the inputs of a node as `<- name`, with spaces"
    if word.text == "if":
        return "write a condition with `when`: the node is left out if it is false"
    if any(w.text.endswith(",") for w in (*values, word)):
        return "separate the words of a node by spaces, not commas"
    if word.text in _OPERATORS:
        if word.text == "/":
            return "write a stride without a space: `/2`"
        before = f"{values[-1].text} " if values else ""
        return f"write an expression with spaces in parentheses: `({before}{word.text} ...)`"
    if word.text in op.model_fields:
        return f"write `{word.text}=...`" + (", or `/2`" if word.text == "stride" else "")
    if near is not None:
        suggestion = f"did you mean `{closest(near, known)}` for `{near[:60]}`?"
        return suggestion if near != word.text else did_you_mean(near, known)
    if op.hint:
        return op.hint
    if word.text in OPS_BY_NAME:
        return (
            f"write `{word.text}` as a separate node, `[{op.name} ..., {word.text} ...]`: "
            "only a norm and an activation can follow an op"
        )
    if word.text.isdigit() and op.name == "fc" and len(values) == 1:
        return f"the size of the input is inferred: write `fc {word.text}`"
    if word.text.isdigit() and "kernel" in op.model_fields and not values and not why:
        return f"write the window before the op, or as `kernel={word.text}`"
    return f"write fields as `key=value`: {', '.join(op.model_fields)}" if op.model_fields else "it has no fields"


def _value(scalar: Scalar, start: int, end: int) -> Scalar:
    text = scalar.text[start:end]
    return scalar.piece(start, end, int(text) if _NUMBER.match(text) else text)


def desugar_defaults(scalar: Scalar, op: type[Op], names: Collection[str] | None = None) -> Map:
    """Return the long form of the words after an op under `defaults`, such as `bn relu`.

    With `names`, those that an expression can use, E0310 is raised for any other word that would be a value: `gelux`.
    """
    entries: dict[str, Entry] = {}

    def put(key: str, start: int, end: int, value: Tree | None = None) -> None:
        entries[key] = Entry(scalar.meant(start, end, key), value if value is not None else _value(scalar, start, end))

    written = words(scalar)
    add_words(scalar, written, op, put)
    values = {entries[name].value for name in op.positional if name in entries and name not in op.references}
    for word in written if names is not None else ():
        known = names is None or word.text in names
        if _NAME.fullmatch(word.text) and not known and _value(scalar, word.start, word.end) in values:
            raise _surplus(scalar, word, op, [], f"not a field, norm or activation of `{op.name}`, nor an argument")
    return Map(entries, scalar.span, False)
