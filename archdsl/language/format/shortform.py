"""A node's long mapping as a short string, where the short form can say it.

Nothing here has to be trusted: what was composed is read back, and taken only if it means the same.
"""

from __future__ import annotations

from archdsl.diagnostics import ArchError
from archdsl.language.format.longform import (
    call_text,
    head_of,
    long_defaults,
    long_form,
    node_meaning,
    one_line,
    value_of,
)
from archdsl.language.format.yaml_writer import YamlEntry, YamlGroup, YamlLayout, YamlLeaf
from archdsl.ops import OPS_BY_NAME
from archdsl.ops.base import Op
from archdsl.source.brackets import outside

_NOT_AS_FLAG = frozenset(("same",))
"""`pad=same` says what is the same."""


class _Unsayable(Exception):
    """The short form has no words for this."""


def short_form(group: YamlGroup) -> str | None:
    """The short string of a long node, or None."""
    head = head_of(group)
    if head not in ("op", "call", "dense") or group.commented or group.anchored:
        return None
    try:
        text = _compose(group, head)
        return text if node_meaning(long_form(text)) == node_meaning(group) else None
    except (_Unsayable, ArchError):
        return None


def short_defaults(group: YamlGroup, op: type[Op], fields: bool = False) -> str | None:
    """`{norm: bn, act: relu}` as `bn relu`; unless `fields`, None where `key=value` would have to be written."""
    if group.commented or group.anchored or not group.entries:
        return None
    try:
        words = _words(group, op)
        text = " ".join(words)
        same = node_meaning(long_defaults(text, op)) == node_meaning(group)
    except (_Unsayable, ArchError):
        return None
    return text if same and (fields or not any("=" in word for word in words)) else None


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
            raise _Unsayable
        return text
    text = _text(value)
    if head == "call":
        return call_text(text)
    if head == "dense":
        return one_line(text)
    if text not in OPS_BY_NAME:
        raise _Unsayable
    return " ".join(_op_words(group, text))


def _op_words(group: YamlGroup, kind: str) -> list[str]:
    """`7x7 conv 64 /2`."""
    window = _window(group.get("kernel"))
    rest = YamlGroup([e for e in group.entries if e.key and e.key.text not in ("op", "repeat", "as", "from", "when")])
    if window:
        rest.entries = [e for e in rest.entries if e.key and e.key.text != "kernel"]
    return [*([window] if window else []), kind, *_words(rest, OPS_BY_NAME[kind])]


def _window(kernel: YamlLayout | None) -> str | None:
    """`7x7` where both sides are plain numbers."""
    if isinstance(kernel, YamlLeaf):
        return f"{kernel.text}x{kernel.text}" if kernel.text.isdigit() else None
    sides = (
        [e.value.text for e in kernel.entries if isinstance(e.value, YamlLeaf)] if isinstance(kernel, YamlGroup) else []
    )
    return "x".join(sides) if len(sides) == 2 and all(s.isdigit() for s in sides) else None


def _words(group: YamlGroup, op: type[Op]) -> list[str]:
    """What follows a kind: values, stride, other fields as written, norm and activation last."""
    written = {e.key.text: e for e in group.entries if e.key is not None}
    first: list[str] = []
    for name in op.positional:
        if name not in written:
            break
        first.append(_word(written.pop(name).value))
    if "kernel" in written:
        first.append("kernel=" + _word(written.pop("kernel").value))
    if "stride" in written:
        first.append("/" + _word(written.pop("stride").value))
    roles: dict[str, YamlEntry] = {name: written.pop(name) for name in ("norm", "act") if name in written}
    return [*first, *(_field(name, e, op) for name, e in written.items()), *_roles(roles)]


def _field(name: str, entry: YamlEntry, op: type[Op]) -> str:
    word = _word(entry.value)
    for flag, (key, value) in op.flags.items():
        said = str(value).lower() if isinstance(value, bool) else value
        if key == name and word == said and flag not in _NOT_AS_FLAG:
            return flag
    return f"{name}={word}"


def _roles(roles: dict[str, YamlEntry]) -> list[str]:
    """`bn relu`, `linear`, `plain`, `plain relu`, `act=a`."""
    said = {name: "none" if _word(e.value) == "null" else _word(e.value) for name, e in roles.items()}
    words = []
    if said.get("norm") == "none" and "act" in said:
        words = ["plain"]
        said = {k: v for k, v in said.items() if v != "none"}
    for name in ("norm", "act"):
        if said.get(name) == "none" and name == "act":
            words.append("linear")
        elif name in said:
            bare = said[name] in OPS_BY_NAME and OPS_BY_NAME[said[name]].role == name
            words.append(said[name] if bare else f"{name}={said[name]}")
    return words


def _word(layout: YamlLayout) -> str:
    """A value as one word: in parentheses where it has blanks."""
    text = _expression(layout)
    return f"({text})" if _has_open_blank(text) else text


def _count(layout: YamlLayout) -> str:
    """Of a repeat; a product in parentheses, for the first `*` ends a count."""
    text = _expression(layout)
    return f"({text})" if " * " in text else text


def _has_open_blank(text: str) -> bool:
    """Whether a blank stands outside of brackets, where it would end the word."""
    return bool(outside(text, " "))


def _expression(layout: YamlLayout) -> str:
    """A value as it will be read back: without parentheses around all of it, which are those of a word."""
    if isinstance(layout, YamlLeaf):
        if layout.lines:
            raise _Unsayable
        said = layout if layout.verbatim else value_of(layout.text)
        if isinstance(said, YamlLeaf):
            return one_line(said.text)
        layout = said
    if layout.mapping:
        raise _Unsayable
    return "[" + ",".join(_expression(e.value) for e in layout.entries) + "]"


def _text(layout: YamlLayout | None) -> str:
    if not isinstance(layout, YamlLeaf) or layout.lines:
        raise _Unsayable
    return layout.text


def _references(layout: YamlLayout) -> str:
    if isinstance(layout, YamlLeaf):
        return _text(layout)
    return ", ".join(_text(e.value) for e in layout.entries)
