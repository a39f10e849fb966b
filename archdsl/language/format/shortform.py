"""Turns the long mapping of a node into a short string, if a short form exists.

Every short string is read back and used only if the reader accepts it and it has the same meaning: the text of an
expression is limited, a YAML list is not.
"""

from __future__ import annotations

from archdsl.diagnostics import ArchError, Report
from archdsl.language.format.longform import (
    call_text,
    head_of,
    long_defaults,
    long_form,
    node_meaning,
    one_line,
    scalar_of,
    value_of,
)
from archdsl.language.format.yaml_writer import YamlEntry, YamlGroup, YamlLayout, YamlLeaf
from archdsl.language.read_nodes import Reader
from archdsl.language.read_sections import read_defaults
from archdsl.ops import OPS_BY_NAME
from archdsl.ops.base import Op
from archdsl.source.brackets import outside

_NOT_AS_FLAG = frozenset(("same",))
"""Flags that are not used: `pad=same` is clearer than `same`."""


class _NoShortForm(Exception):
    """The value cannot be written in the short form."""


def short_form(group: YamlGroup) -> str | None:
    """Return the short string of a long node, or None if it has none."""
    head = head_of(group)
    if head not in ("op", "call", "dense") or group.commented or group.anchored:
        return None
    try:
        text = _compose(group, head)
        same = node_meaning(long_form(text)) == node_meaning(group)
        return text if same and _is_read(text) else None
    except (_NoShortForm, ArchError):
        return None


def short_defaults(group: YamlGroup, op: type[Op], fields: bool = False) -> str | None:
    """Return the short form of defaults, `bn relu`; without `fields`, None if it would contain `key=value`."""
    if group.commented or group.anchored or not group.entries:
        return None
    try:
        words = _words(group, op)
        text = " ".join(words)
        same = node_meaning(long_defaults(text, op)) == node_meaning(group)
        read_defaults(op.name, scalar_of(text), None)
    except (_NoShortForm, ArchError):
        return None
    return text if same and (fields or not any("=" in word for word in words)) else None


def _is_read(text: str) -> bool:
    """Whether the reader accepts the text as a node. Raises ArchError for errors of the node itself."""
    report = Report()
    Reader(report).node(scalar_of(text))
    return not report.failed


def _compose(group: YamlGroup, head: str) -> str:
    parts = []
    repeat, pattern, sources, when = (group.get(k) for k in ("repeat", "as", "from", "when"))
    parts += ["dense"] if head == "dense" else []
    parts += [_count(repeat), "*"] if repeat is not None else []
    parts.append(_body(group, head))
    parts += ["as", _text(pattern)] if pattern is not None else []
    parts += ["<-", _references(sources)] if sources is not None else []
    parts += ["when", _expression(when)] if when is not None else []
    return " ".join(parts)


def _body(group: YamlGroup, head: str) -> str:
    value = group.get(head)
    if head == "dense" and isinstance(value, YamlGroup):
        text = short_form(value)
        if text is None:
            raise _NoShortForm
        return text
    text = _text(value)
    if head == "call":
        return call_text(text)
    if head == "dense":
        return one_line(text)
    if text not in OPS_BY_NAME:
        raise _NoShortForm
    return " ".join(_op_words(group, text))


def _op_words(group: YamlGroup, op: str) -> list[str]:
    """The words of an op: `7x7 conv 64 /2`."""
    window = _window(group.get("kernel"))
    rest = YamlGroup([e for e in group.entries if e.key and e.key.text not in ("op", "repeat", "as", "from", "when")])
    if window:
        rest.entries = [e for e in rest.entries if e.key and e.key.text != "kernel"]
    return [*([window] if window else []), op, *_words(rest, OPS_BY_NAME[op])]


def _window(kernel: YamlLayout | None) -> str | None:
    """`7x7` for a list of plain numbers; one number for all axes has no short form."""
    sizes = (
        [e.value.text for e in kernel.entries if isinstance(e.value, YamlLeaf)] if isinstance(kernel, YamlGroup) else []
    )
    listed = isinstance(kernel, YamlGroup) and len(sizes) == len(kernel.entries) > 0
    return "x".join(sizes) if listed and all(s.isdigit() for s in sizes) else None


def _words(group: YamlGroup, op: type[Op]) -> list[str]:
    """The words after an op: values, stride, other fields as written, then norm and activation."""
    written = {e.key.text: e for e in group.entries if e.key is not None}
    first: list[str] = []
    for name in op.positional:
        if name not in written:
            break
        first.append(_drawn_word(name, written.pop(name), op))
    if "kernel" in written:
        first.append("kernel=" + _word(written.pop("kernel").value))
    if "stride" in written:
        stride = written.pop("stride").value
        sizes = _window(stride)
        first.append("/" + (sizes if sizes and "x" in sizes else _word(stride)))
    roles: dict[str, YamlEntry] = {name: written.pop(name) for name in ("norm", "act") if name in written}
    return [*first, *(_field(name, e, op) for name, e in written.items()), *_roles(roles)]


def _drawn_word(name: str, entry: YamlEntry, op: type[Op]) -> str:
    """The word of a field. A drawn table has lines, which a word does not."""
    if name in op.drawn and isinstance(entry.value, YamlLeaf) and "\n" in entry.value.text:
        raise _NoShortForm
    return _word(entry.value)


def _field(name: str, entry: YamlEntry, op: type[Op]) -> str:
    word = _drawn_word(name, entry, op)
    for flag, (key, value) in op.flags.items():
        flag_word = value if isinstance(value, str) else str(value).lower()
        if key == name and word == flag_word and flag not in _NOT_AS_FLAG:
            return flag
    return f"{name}={word}"


def _roles(roles: dict[str, YamlEntry]) -> list[str]:
    """The words of norm and activation: `bn relu`, `linear`, `plain`, `plain relu`, `act=a`."""
    names = {name: "none" if _word(e.value) == "null" else _word(e.value) for name, e in roles.items()}
    words = []
    if names.get("norm") == "none" and "act" in names:
        words = ["plain"]
        names = {k: v for k, v in names.items() if v != "none"}
    for name in ("norm", "act"):
        if names.get(name) == "none" and name == "act":
            words.append("linear")
        elif name in names:
            bare = names[name] in OPS_BY_NAME and OPS_BY_NAME[names[name]].role == name
            words.append(names[name] if bare else f"{name}={names[name]}")
    return words


def _word(layout: YamlLayout) -> str:
    """A value as one word, in parentheses if it contains spaces."""
    text = _expression(layout)
    return f"({text})" if _has_open_space(text) else text


def _count(layout: YamlLayout) -> str:
    """The count of a repeat; a product in parentheses, as the first `*` ends the count."""
    text = _expression(layout)
    return f"({text})" if " * " in text else text


def _has_open_space(text: str) -> bool:
    """Whether there is a space outside of brackets, which would end the word."""
    return bool(outside(text, " "))


def _expression(layout: YamlLayout) -> str:
    """A value without parentheses around it: these only mark a word."""
    if isinstance(layout, YamlLeaf):
        if layout.lines:
            raise _NoShortForm
        value = layout if layout.verbatim else value_of(layout.text)
        if isinstance(value, YamlLeaf):
            return one_line(value.text)
        layout = value
    if layout.mapping:
        raise _NoShortForm
    return "[" + ",".join(_expression(e.value) for e in layout.entries) + "]"


def _text(layout: YamlLayout | None) -> str:
    if not isinstance(layout, YamlLeaf) or layout.lines:
        raise _NoShortForm
    return layout.text


def _references(layout: YamlLayout) -> str:
    if isinstance(layout, YamlLeaf):
        return _text(layout)
    return ", ".join(_text(e.value) for e in layout.entries)
