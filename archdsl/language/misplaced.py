"""Explains lines at the wrong depth: a head word beside nodes, and `then` beside no head word."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from archdsl.diagnostics import ArchError, Diagnostic, Edit, Fix, Proposal, Span, closest, error
from archdsl.language.keys import COMMON_KEYS, COMPOSITE_KEYS, HEADS
from archdsl.ops import OPS_BY_NAME
from archdsl.source import Entry, Map, Scalar, Tree

_MOST_SHOWN = 40
"""Characters of a value in a help line."""


def beside_nodes(tree: Map, head: str, outer: Span | None, readable: Callable[[str], bool]) -> ArchError | None:
    """Return one E0201 at the head word if the keys beside it are nodes; None if they are not.

    `outer` is the key of the mapping. `readable` is whether a text can be read as a node.
    """
    known = COMPOSITE_KEYS.get(head, COMMON_KEYS)
    nodes = [
        name
        for name, entry in tree.entries.items()
        if name not in (*known, *HEADS)
        and (len(name) < 4 or closest(name, [*known, *HEADS]) is None)
        and (not isinstance(entry.value, Scalar) or (isinstance(entry.value.value, str) and readable(entry.value.text)))
    ]
    if not nodes:
        return None
    key = tree.entries[head].key.span
    listed = _listed(nodes)
    only = tree.entries[nodes[0]].value
    if len(nodes) == 1 and isinstance(only, Scalar) and "then" in known and "then" not in tree.entries:
        part = OPS_BY_NAME.get(only.text)
        if part is not None and part.role in ("norm", "act"):
            write = Proposal(f"write `then: {only.text}`", "then")
            what = f"`{nodes[0]}` is not a key of `{head}`"
            return error("E0201", what, tree.entries[nodes[0]].key.span, help=write)
    message = f"`{head}` makes one node of this mapping, and {listed} {'is' if len(nodes) == 1 else 'are'} beside it"
    help_, fixes = _remedy(tree, head, outer, listed)
    return error("E0201", message, key, label="a head word, not the name of a node", help=help_, fixes=fixes)


def _remedy(tree: Map, head: str, outer: Span | None, beside: str) -> tuple[str, tuple[Fix, ...]]:
    key, value = tree.entries[head].key.span, tree.entries[head].value
    names = list(tree.entries)
    after = names[names.index(head) + 1 :]
    own = "res" if head == "residual" and "res" not in names else f"{head}1"
    below = f"`{own}:`, with `{head}:` indented below it"
    if isinstance(value, Scalar) and value.value is None:
        if after != names[1:]:
            return f"give the node a name, and indent its own nodes below `{head}:`: write {below}", ()
        last = tree.entries[after[-1]].value.span.end
        return f"indent {_listed(after)} below `{head}:`", _deeper(
            tree, tree.entries[after[0]].key.span, last, "", "indent"
        )
    if outer is not None and outer.text != "net" and names[0] == head:
        return f"write {beside} after `{outer.text}:`, not inside it, or indent it below `{head}:`", ()
    if isinstance(value, Scalar) and head not in ("residual", "do"):
        return Proposal(f"`.{head}` is a name: write `.{head}: {value.text[:_MOST_SHOWN]}`", f".{head}"), ()
    own_keys = any(name in COMPOSITE_KEYS.get(head, ()) for name in names if name != head)
    fixes = () if own_keys else _deeper(tree, key, value.span.end, f"{own}:", f"write `{own}:` above and indent")
    return f"give the node a name: `{own}: {{{head}: ...}}`; or, if `{head}` is its name, write `.{head}:`", fixes


def _listed(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}:`" for name in names[:3]) + (", ..." if len(names) > 3 else "")


def _deeper(tree: Map, first: Span, end: int, above: str, title: str) -> tuple[Fix, ...]:
    """The fix that indents the lines from `first` to `end` by two spaces, below a line `above`; none in brackets."""
    text, margin = first.source.text, first.before
    begin = first.start - len(margin)
    if tree.flow or margin.strip(" "):
        return ()
    starts = [begin, *(begin + m.end() for m in re.finditer("\n(?=[^\n\r])", text[begin:end]))]
    edits = [Edit(Span(first.source, at, at), "  ") for at in starts]
    if above:
        edits[0] = Edit(edits[0].span, f"{margin}{above}\n  ")
    return (Fix(f"{title} `{first.text}:`", tuple(edits), safe=False),)


def without_head(name: str, entry: Entry, tree: Map, outer: Span | None, meant: str) -> Diagnostic:
    """Return E0201 for a key such as `then` in a mapping of nodes; `meant` is the help for a misspelt head word.

    `outer` is the key of the mapping. The key belongs beside it if that is a head word, or beside the head word of the
    node before.
    """
    message = f"`{name}` is only valid next to a head word, and this mapping has none"
    help_ = meant or (f"head words are {', '.join(HEADS)}; for a mapping of nodes write `{{do: ..., {name}: ...}}`")
    names = list(tree.entries)
    at = names.index(name)
    fixes: tuple[Fix, ...] = ()
    before: Tree | None = tree.entries[names[at - 1]].value if at else None
    inner = _composite(before.entries, name) if isinstance(before, Map) else None
    if outer is not None and name in COMPOSITE_KEYS.get(outer.text, ()):
        help_ = f"move `{name}` beside `{outer.text}:`, which it then belongs to"
        fixes = _level(entry, outer) if at == len(names) - 1 else ()
    elif inner is not None:
        help_ = f"indent `{name}` to stand beside `{inner.text}:`, in `{names[at - 1]}`"
        fixes = _level(entry, inner)
    return Diagnostic("E0201", message, entry.key.span, help=help_, fixes=fixes)


def _composite(entries: Mapping[str, Entry], name: str) -> Span | None:
    """The key of the head word beside which a key is missing."""
    heads = (head for head in entries if name in COMPOSITE_KEYS.get(head, ()) and head != name and name not in entries)
    return next((entries[head].key.span for head in heads if head in HEADS), None)


def _level(entry: Entry, head: Span) -> tuple[Fix, ...]:
    """The fix that moves an entry of one line to the column of a head word that begins a line, too."""
    key = entry.key.span
    one_line = "\n" not in key.to(entry.value.span).text
    if key.source is not head.source or f"{key.before}{head.before}".strip(" ") or not one_line:
        return ()
    margin = Span(key.source, key.start - len(key.before), key.start)
    return (Fix(f"move `{key.text}` beside `{head.text}:`", (Edit(margin, head.before),), safe=False),)
