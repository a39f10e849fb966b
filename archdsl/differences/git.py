"""The external diff command of git: compare two versions of a spec, one of which may not exist."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from archdsl.diagnostics import ArchError, Source, escape_control, render_text
from archdsl.differences.compare import identity
from archdsl.differences.diff import diff
from archdsl.elaborate import elaborate
from archdsl.network import Network
from archdsl.report.table import Style
from archdsl.source import read
from archdsl.spec.find import names_of
from archdsl.spec.open import document_of, from_source

ARGUMENTS = (7, 9)
"""How many arguments git passes to an external diff: path, old file, hash, mode, new file, hash, mode; for a renamed
file also the new path and a line about the similarity."""
_NOTHING = "/dev/null"


class Version(NamedTuple):
    """A version of a spec: the file with its text, and its path in the working tree, which `extends` is relative to."""

    file: str
    path: str

    @property
    def exists(self) -> bool:
        return self.file != _NOTHING


def git_diff(arguments: Sequence[str], style: Style = Style()) -> str:
    """Return the text for git's seven or nine arguments. Errors in a version are part of the text, for git's pager."""
    path, old, _, _, new, *_ = arguments
    renamed = arguments[7] if len(arguments) > 7 else path
    before, after = Version(old, path), Version(new, renamed)
    heading = path if renamed == path else f"{path} -> {renamed}"
    text = style.paint("quiet", f"archdsl diff {escape_control(heading)}") + "\n"
    a, errors_before = _opened(before, style)
    b, errors_after = _opened(after, style)
    text += errors_before + errors_after
    if a is not None and b is not None:
        return text + diff(a, b, names=(f"a/{path}", f"b/{renamed}")).text(style) + _variants(before, after)
    if before.exists and after.exists:
        return text
    sign, what = ("-", "spec removed") if before.exists else ("+", "new spec")
    network = a if before.exists else b
    costs = "" if network is None else f": {network.params:,} params, {network.macs:,} MACs"
    return f"{text}{sign} {what}{costs}\n"


def _opened(version: Version, style: Style) -> tuple[Network | None, str]:
    """The network of a version (None if it has errors or does not exist), and the text of its errors."""
    if not version.exists:
        return None, ""
    try:
        return _network(version), ""
    except ArchError as problem:
        return None, render_text(problem.diagnostics, style.color)


def _network(version: Version, variant: str | None = None) -> Network:
    source = Source(version.path, read(version.file).text, Path(version.path))
    document = document_of(from_source(source, variant))
    return Network(document, elaborate(document, {}), {})


def _variants(before: Version, after: Version) -> str:
    """A line for each variant that was added, removed or changed."""
    try:
        old, new = (dict.fromkeys(names_of(Path(version.file))[1]) for version in (before, after))
    except ArchError:
        return ""
    lines = [_variant(name, before, after, name in old, name in new) for name in dict.fromkeys((*old, *new))]
    return "".join(f"{escape_control(line)}\n" for line in lines if line)


def _variant(name: str, before: Version, after: Version, was: bool, remains: bool) -> str:
    """The line of a variant; empty if it did not change."""
    if not was or not remains:
        return f"{'+' if remains else '-'} variant {name}"
    try:
        a, b = _network(before, name), _network(after, name)
    except ArchError as problem:
        return f"! variant {name}: {problem.diagnostics[0].message}"
    if identity(a.graph) == identity(b.graph):
        return ""
    return f"~ variant {name}: params {a.params:,} -> {b.params:,}, MACs {a.macs:,} -> {b.macs:,}"
