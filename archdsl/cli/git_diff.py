"""`archdsl diff` as git calls it: two versions of one file, one of which may not be there."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from archdsl.cli.console import Console

if TYPE_CHECKING:
    from archdsl.diagnostics import ArchError
    from archdsl.network import Network

_NOTHING = "/dev/null"


def run(console: Console, given: tuple[str, ...]) -> int:
    """Prints the comparison. 0 even where something is wrong with a version: git would stop at anything else."""
    path, old, _, _, new, *_ = given
    now = given[7] if len(given) > 7 else path
    heading = path if now == path else f"{path} -> {now}"
    console.give(console.style().paint("quiet", f"archdsl diff {heading}") + "\n")
    a, b = (_opened(console, file, at) for file, at in ((old, path), (new, now)))
    if a is not None and b is not None:
        from archdsl.cli.diff import give

        give(console, a, b, (f"a/{path}", f"b/{now}"), "text", None)
        _variants(console, (old, path), (new, now))
    elif old == _NOTHING or new == _NOTHING:
        found = b if old == _NOTHING else a
        sign, word = ("+", "a new spec") if old == _NOTHING else ("-", "the spec is gone")
        console.give(
            f"{sign} {word}" + (f": {found.params:,} params, {found.macs:,} MACs\n" if found is not None else "\n")
        )
    return 0


def _opened(console: Console, file: str, at: str, variant: str | None = None) -> Network | None:
    """The network of one version; what `extends` names is looked for where the file lies in the working tree."""
    from archdsl.diagnostics import ArchError

    if file == _NOTHING:
        return None
    try:
        return _network(file, at, variant)
    except ArchError as problem:
        _refused(console, problem)
        return None


def _network(file: str, at: str, variant: str | None) -> Network:
    from archdsl.diagnostics import Source
    from archdsl.elaborate import elaborate
    from archdsl.network import Network
    from archdsl.source import read
    from archdsl.spec.open import document_of, from_source

    source = read(file)
    document = document_of(from_source(Source(at, source.text, Path(at)), variant))
    return Network(document, elaborate(document, {}), {})


def _refused(console: Console, problem: ArchError) -> None:
    """What is wrong with a version, on standard output: git shows that in its pager, and what goes elsewhere behind
    it."""
    from archdsl.diagnostics import render_text

    console.give(render_text(problem.diagnostics, console.paints(sys.stdout)))


def _variants(console: Console, before: tuple[str, str], after: tuple[str, str]) -> None:
    """A line on each variant that was added, removed or changed: the text above is of the file's own network."""
    from archdsl.diagnostics import ArchError
    from archdsl.differences.compare import identity
    from archdsl.spec.find import names_of

    try:
        old, new = (dict.fromkeys(names_of(Path(file))[1]) for file, _ in (before, after))
    except ArchError:
        return
    lines = []
    for name in dict.fromkeys((*old, *new)):
        if name not in new or name not in old:
            lines.append(f"{'+' if name in new else '-'} variant {name}")
            continue
        try:
            a, b = _network(*before, name), _network(*after, name)
        except ArchError as problem:
            lines.append(f"! variant {name}: {problem.diagnostics[0].message}")
            continue
        if identity(a.graph) != identity(b.graph):
            costs = f"params {a.params:,} -> {b.params:,}, MACs {a.macs:,} -> {b.macs:,}"
            lines.append(f"~ variant {name}: {costs}")
    if lines:
        from archdsl.diagnostics import escape_control

        console.give("\n".join(map(escape_control, lines)) + "\n")
