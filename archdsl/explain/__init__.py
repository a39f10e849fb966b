"""What each code means: one Markdown page per code, beside this file.

A page begins with its title, `# E0412: the inputs of ...`. Under `## Wrong` stands a spec in which a comment
`# error: E0412` marks the line at fault, under `## Right` the same spec repaired; the tests run both. What no spec can
show (files, weights, what is installed) is a `console` block under `## Example`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from archdsl.diagnostics import closest, error

FOLDER = Path(__file__).resolve().parent

FAMILIES = {
    "00": "Arguments of commands and functions",
    "01": "Reading YAML",
    "02": "The parts of a spec",
    "03": "Nodes, expressions and blocks",
    "04": "Shapes and wiring",
    "05": "Names",
    "06": "Weights",
    "07": "Output files",
    "08": "Installed packages, devices, models and images",
    "09": "Claims, and things to look at",
}
"""By the first two digits of a code."""


@dataclass(frozen=True, slots=True)
class Page:
    """`text` is the whole page, its title line included."""

    code: str
    title: str
    text: str

    @property
    def family(self) -> str:
        return FAMILIES[self.code[1:3]]


@cache
def codes() -> tuple[str, ...]:
    """All codes that have a page, in the order of their numbers."""
    return tuple(sorted((path.stem for path in FOLDER.glob("*.md")), key=lambda code: (code[1:], code)))


def page(code: str) -> Page:
    """The page of a code: `E0412`, `e0412`, or its number alone, `412`. Raises E0001 (status 2) for an unknown code."""
    wanted = code.strip().upper()
    match = re.fullmatch(r"([EWN]?)([0-9]{1,4})", wanted)
    same = [known for known in codes() if match is not None and known[1:] == match[2].zfill(4)]
    found = next((known for known in same if match is not None and known.startswith(match[1])), None)
    if found is None:
        raise error("E0001", f"there is no code `{code[:40]}`", status=2, help=_near(wanted, same))
    text = (FOLDER / f"{found}.md").read_text(encoding="utf-8")
    return Page(found, text.partition("\n")[0].partition(": ")[2], text)


def _near(code: str, same: Sequence[str]) -> str:
    """A hint at a code of the `same` number, or one that is written alike."""
    alike = [known for known in codes() if known[:3] == code[:3]]
    best = next(iter(same), None) or closest(code, alike) or closest(code, codes())
    return f"did you mean {best}?" if best else "`archdsl explain` lists all codes"


def listing() -> str:
    """Every code with its title, by family."""
    lines: list[str] = []
    family = ""
    for shown in map(page, codes()):
        if shown.family != family:
            family = shown.family
            lines += ["", family] if lines else [family]
        lines.append(f"  {shown.code}  {shown.title}")
    return "\n".join(lines) + "\n"


def errors_page() -> str:
    """`docs/errors.md`: all pages as one."""
    parts = [
        "# Errors, warnings and notes",
        "Made from the pages that `archdsl explain` shows. A code beginning with E is an error, with W a warning, with N a note.",
    ]
    family = ""
    for shown in map(page, codes()):
        if shown.family != family:
            family = shown.family
            parts.append(f"## {family}")
        parts.append(_lowered(shown.text))
    return "\n\n".join(parts) + "\n"


def _lowered(text: str) -> str:
    """A page with its headings two levels down; comments in its specs, which also begin with `#`, are left alone."""
    lines, fenced = [], False
    for line in text.splitlines():
        fenced ^= line.startswith("```")
        lines.append(f"##{line}" if line.startswith("#") and not fenced else line)
    return "\n".join(lines).rstrip()
