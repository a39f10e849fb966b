"""The short form of a node, `7x7 conv 64 /2`, made into the long one, `{op: conv, out: 64, ...}`.

The long form is a located tree like any other: each of its values knows the characters it came from. Nothing
is evaluated here; a value that is not a plain number stays text, to be parsed as an expression.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

from archdsl.diagnostics import ArchError, Label, closest, did_you_mean, error
from archdsl.language.hints import field_meant, hint
from archdsl.ops import OPS_BY_NAME
from archdsl.ops.base import Op
from archdsl.source import Entry, Map, Scalar, Seq, Tree
from archdsl.source.brackets import OPENING, outside, unmatched

_KERNEL = re.compile(r"(\d{1,10})x(\d{1,10})$")
_FIELD = re.compile(r"([A-Za-z_]\w*)=(?!=)", re.ASCII)
_NUMBER = re.compile(r"-?\d{1,18}$", re.ASCII)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_OPERATORS = frozenset("+ - * / // % == != < <= > >= and or not if else".split())


@dataclass(frozen=True, slots=True)
class Word:
    """A run of characters without blanks outside of brackets: `text == scalar.text[start:end]`."""

    text: str
    start: int
    end: int


def words(scalar: Scalar) -> list[Word]:
    """The words of a short form. Raises E0302 where brackets do not match."""
    text = scalar.text
    wrong = unmatched(text)
    if wrong is not None:
        what = "is never closed" if text[wrong] in OPENING else "closes nothing"
        raise error("E0302", f"`{text[wrong]}` {what}", scalar.part(wrong, wrong + 1))
    blanks = outside(text, " \t\n")
    borders = zip([-1, *blanks], [*blanks, len(text)], strict=True)
    return [Word(text[before + 1 : end], before + 1, end) for before, end in borders if end > before + 1]


def desugar(scalar: Scalar, blocks: Collection[str] = ()) -> Map:
    """The long form of a short one: a mapping with `op`, `call` or `dense`. `blocks` are names for a better help.

    Raises E0301, E0302, E0309, E0310.
    """
    found = words(scalar)
    entries: dict[str, Entry] = {}

    def put(key: str, start: int, end: int, value: Tree | None = None) -> None:
        entries[key] = Entry(scalar.piece(start, end, key), value if value is not None else _value(scalar, start, end))

    found = _cut_tail(scalar, found, put)
    if found and found[0].text == "dense" and len(found) > 1:
        return _dense(scalar, found, entries, put)
    star = next((n for n, w in enumerate(found) if w.text == "*"), None)
    if star is not None:
        _check_count(scalar, found, star)
        put("repeat", found[0].start, found[star - 1].end)
        found = found[star + 1 :]
    if not found:
        raise error("E0302", "a node is missing here", scalar.span, help="write a kind, e.g. `3x3 conv 64`")
    _head(scalar, found, entries, put, blocks)
    return Map(entries, scalar.span, False)


Put = Callable[..., None]


def _check_count(scalar: Scalar, found: list[Word], star: int) -> None:
    """Raises E0302 where what stands before a `*` is no count, or nothing behind it."""
    where = scalar.part(found[star].start, found[star].end)
    if star == 0 or star + 1 == len(found):
        what = "a count before" if star == 0 else "a node behind"
        raise error("E0302", f"`*` needs {what} it", where, help="`3 * 3x3 conv 64` repeats a node three times")
    if any(w.text in OPS_BY_NAME or _KERNEL.match(w.text) for w in found[:star]):
        product = f"{found[star - 1].text} * {found[star + 1].text}"
        raise error(
            "E0302",
            "the count of a repeat stands first",
            where,
            help=f"`3 * 3x3 conv 64` repeats a node; a product with blanks stands in parentheses: `({product})`",
        )


def _cut_tail(scalar: Scalar, found: list[Word], put: Put) -> list[Word]:
    """Takes `when ...`, `<- ...` and `as ...` off the end."""
    for mark, key in (("when", "when"), ("<-", "from"), ("as", "as")):
        at = next((n for n, w in enumerate(found) if w.text == mark), None)
        if at is None:
            continue
        if at + 1 == len(found):
            raise error("E0302", f"nothing follows `{mark}`", scalar.part(found[at].start, found[at].end))
        start, end = found[at + 1].start, found[-1].end
        if key == "as" and at + 2 != len(found):
            raise error("E0302", "a name pattern is one word", scalar.part(start, end), help="e.g. `as layer{1}`")
        put(key, start, end, _references(scalar, start, end) if key == "from" else scalar.piece(start, end))
        found = found[:at]
    return found


def _references(scalar: Scalar, start: int, end: int) -> Seq:
    items = pieces(scalar, start, end)
    if not all(item.text for item in items):
        raise error("E0302", "a reference is missing beside this comma", scalar.part(start, end))
    return Seq(tuple(items), scalar.part(start, end), True)


def pieces(scalar: Scalar, start: int, end: int) -> list[Scalar]:
    """What stands between the commas of a part of a text, without the blanks around it."""
    found: list[Scalar] = []
    for piece in scalar.text[start:end].split(","):
        begin = start + len(piece) - len(piece.lstrip())
        found.append(scalar.piece(begin, max(begin + len(piece.strip()), begin)))
        start += len(piece) + 1
    return found


def _dense(scalar: Scalar, found: list[Word], entries: dict[str, Entry], put: Put) -> Map:
    star = next((n for n, w in enumerate(found) if w.text == "*"), None)
    if star is None or star == 1 or star + 1 == len(found):
        raise error(
            "E0302",
            "`dense` needs a count and a layer",
            scalar.span,
            help="`dense 6 * layer`; a fully connected layer is `fc 10`",
        )
    put("repeat", found[1].start, found[star - 1].end)
    put("dense", found[star + 1].start, found[-1].end, scalar.piece(found[star + 1].start, found[-1].end))
    return Map(entries, scalar.span, False)


def _head(scalar: Scalar, found: list[Word], entries: dict[str, Entry], put: Put, blocks: Collection[str]) -> None:
    """The node itself: `[KxK] kind ...`, or a call."""
    kernel = _KERNEL.match(found[0].text)
    named = found[1:] if kernel else found
    if not named:
        raise error(
            "E0302",
            "a kind is missing behind the window",
            scalar.part(found[0].start, found[0].end),
            help=f"e.g. `{found[0].text} conv 64`",
        )
    kind = named[0]
    if kind.text not in OPS_BY_NAME:
        if len(named) > 1 or kernel or not _NAME.match(kind.text):
            raise _unknown_kind(scalar, kind, named[1:], blocks, found[0].text if kernel else "")
        put("call", kind.start, kind.end, scalar.piece(kind.start, kind.end))
        return
    op = OPS_BY_NAME[kind.text]
    put("op", kind.start, kind.end, scalar.piece(kind.start, kind.end))
    if kernel:
        if "kernel" not in op.model_fields:
            raise error(
                "E0309",
                f"`{op.name}` has no window",
                scalar.part(found[0].start, found[0].end),
                help=op.hint,
            )
        middle = found[0].start + len(kernel[1])
        sides = (
            scalar.piece(found[0].start, middle, int(kernel[1])),
            scalar.piece(middle + 1, found[0].end, int(kernel[2])),
        )
        put("kernel", found[0].start, found[0].end, Seq(sides, scalar.part(found[0].start, found[0].end), True))
    add_words(scalar, named[1:], op, put)


def _unknown_kind(scalar: Scalar, kind: Word, rest: Sequence[Word], blocks: Collection[str], window: str) -> ArchError:
    span = scalar.part(kind.start, kind.end)
    head, opened, values = kind.text.partition("(")
    if rest and opened and _NAME.fullmatch(head) and head not in OPS_BY_NAME and not window:
        raise error(
            "E0302",
            "nothing may follow a call but `as`, `<-` and `when`",
            scalar.part(rest[0].start, rest[-1].end),
            help="give it a node of its own, or the block an argument for it",
        )
    if head in OPS_BY_NAME and opened:
        inner = " ".join(value.strip() for value in values.rstrip(")").split(","))
        return error(
            "E0302",
            f"the values of `{head}` stand behind it, without parentheses",
            span,
            help=f"write `{f'{window} {head} {inner}'.strip()[:80]}`",
        )
    help_ = hint(kind.text, [w.text for w in rest], blocks, window)
    return error("E0301", f"there is no kind `{(head or kind.text)[:60]}`", span, help=help_)


def add_words(scalar: Scalar, rest: list[Word], op: type[Op], put: Put) -> None:
    """What follows a kind: values, `/stride`, `key=value`, flags, norm and activation."""
    written: dict[str, Word] = {}
    positional = list(op.positional)
    values: list[Word] = []

    def put_once(key: str, word: Word, start: int, end: int, value: Tree | None = None) -> None:
        if key in written:
            both = scalar.part(written[key].start, written[key].end).to(scalar.part(word.start, word.end))
            raise error("E0302", f"`{key}` is said twice: `{written[key].text}` and `{word.text}`", both)
        written[key] = word
        put(key, start, end, value)

    for word in rest:
        _check_word(scalar, word, op, written)
        start, end = word.start, word.end
        field = _FIELD.match(word.text)
        if _is_stride(word):
            put_once("stride", word, start + 1, end)
        elif field:
            put_once(field[1], word, start + field.end(), end)
        elif word.text in op.flags:
            key, value = op.flags[word.text]
            put_once(key, word, start, end, scalar.piece(start, end, value))
        elif word.text == "linear":
            put_once("act", word, start, end, scalar.piece(start, end, None))
        elif word.text == "plain":
            put("norm", start, end, scalar.piece(start, end, None))
            put("act", start, end, scalar.piece(start, end, None))
        elif word.text in OPS_BY_NAME and OPS_BY_NAME[word.text].role:
            put_once(OPS_BY_NAME[word.text].role, word, start, end, scalar.piece(start, end))
        elif positional:
            values.append(word)
            put_once(positional.pop(0), word, start, end)
        else:
            raise _surplus(scalar, word, op, values)


def _is_stride(word: Word) -> bool:
    return word.text.startswith("/") and len(word.text) > 1 and word.text != "//"


def _check_word(scalar: Scalar, word: Word, op: type[Op], written: Mapping[str, Word]) -> None:
    """Raises E0302 or E0309 for a word that stands in the wrong place, or sets what the op does not have."""
    where = scalar.part(word.start, word.end)
    field = _FIELD.match(word.text)
    if _KERNEL.match(word.text) and "kernel" in op.model_fields:
        raise error("E0302", "the window stands before the kind", where, help=f"e.g. `{word.text} {op.name} ...`")
    if _is_stride(word):
        _need_field(scalar, op, "stride", word, "no stride")
    elif field:
        if field[1] not in ("norm", "act"):
            _need_field(scalar, op, field[1], word)
        if field.end() == len(word.text):
            raise error("E0302", f"a value is missing behind `{word.text}`", where)
    elif _is_norm(word, op) and "act" in written and written["act"].text in OPS_BY_NAME:
        raise error(
            "E0302",
            f"`{word.text}` stands behind the activation `{written['act'].text}`",
            where,
            help="in one node the norm comes first; write two nodes for the other order",
        )


def _is_norm(word: Word, op: type[Op]) -> bool:
    return word.text not in op.flags and word.text in OPS_BY_NAME and OPS_BY_NAME[word.text].role == "norm"


def _need_field(scalar: Scalar, op: type[Op], name: str, word: Word, message: str = "") -> None:
    if name not in op.model_fields:
        raise error(
            "E0309",
            f"`{op.name}` has {message or f'no `{name}`'}",
            scalar.part(word.start, word.end),
            help=field_meant(name, [*op.model_fields, "norm", "act"]),
        )


def _surplus(scalar: Scalar, word: Word, op: type[Op], values: Sequence[Word]) -> ArchError:
    """A word too many: itself misspelt, or a misspelt one before it was taken for a value."""
    known = [*op.flags, "linear", "plain", *(k for k, o in OPS_BY_NAME.items() if o.role)]
    labels = tuple(
        Label(scalar.part(w.start, w.end), f"`{name}`") for w, name in zip(values, op.positional, strict=False)
    )
    what = f"has no use for a further value, `{word.text[:60]}`" if values else f"takes no value `{word.text[:60]}`"
    near = next((w.text for w in (word, *values) if _NAME.fullmatch(w.text) and closest(w.text, known)), None)
    if word.text in ("<", "->") or word.text.startswith("<-"):
        help_ = "what a node reads is written `<- name`, with blanks"
    elif word.text == "if":
        help_ = "a condition is written `when`: the node is left out where it does not hold"
    elif any(w.text.endswith(",") for w in (*values, word)):
        help_ = "the words of a node are separated by blanks, without commas"
    elif word.text in _OPERATORS:
        before = f"{values[-1].text} " if values else ""
        help_ = f"an expression with blanks stands in parentheses: `({before}{word.text} ...)`"
        help_ = "a stride is written without a blank: `/2`" if word.text == "/" else help_
    elif word.text in op.model_fields:
        help_ = f"write `{word.text}=...`" + (", or `/2`" if word.text == "stride" else "")
    elif near is not None:
        help_ = (
            f"did you mean `{closest(near, known)}` for `{near[:60]}`?"
            if near != word.text
            else did_you_mean(near, known)
        )
    elif op.hint:
        help_ = op.hint
    elif word.text in OPS_BY_NAME:
        help_ = f"`{word.text}` is a node of its own: `[{op.name} ..., {word.text} ...]`; behind a kind stand only norm and activation"
    elif word.text.isdigit() and "kernel" in op.model_fields and not values:
        help_ = f"a window stands before the kind: `{word.text}x{word.text} {op.name}`"
    else:
        help_ = (
            f"fields are written `key=value`: {', '.join(op.model_fields)}" if op.model_fields else "it takes nothing"
        )
    return error("E0310", f"`{op.name}` {what}", scalar.part(word.start, word.end), labels=labels, help=help_)


def _value(scalar: Scalar, start: int, end: int) -> Scalar:
    text = scalar.text[start:end]
    return scalar.piece(start, end, int(text) if _NUMBER.match(text) else text)


def desugar_defaults(scalar: Scalar, op: type[Op]) -> Map:
    """`bn relu`, written behind `conv:` under `defaults`: what would follow the kind."""
    entries: dict[str, Entry] = {}

    def put(key: str, start: int, end: int, value: Tree | None = None) -> None:
        entries[key] = Entry(scalar.piece(start, end, key), value if value is not None else _value(scalar, start, end))

    add_words(scalar, words(scalar), op, put)
    return Map(entries, scalar.span, False)
