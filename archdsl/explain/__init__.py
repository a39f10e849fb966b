"""The pages of `archdsl explain`: one Markdown file per code, in this folder.

A page starts with its title, `# E0412: the inputs of ...`. `## Wrong` shows a spec in which a comment `# error: E0412`
marks the wrong line, `## Right` the corrected spec; the tests run both. A code that no spec can cause (files, weights,
installed packages) has a `console` block under `## Example`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from urllib.parse import quote

from archdsl.diagnostics import closest, error

HOME = "https://github.com/archdsl/archdsl"
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
    "09": "Claims, labels and internal errors",
}
"""The title of each group of codes, by their first two digits."""


@dataclass(frozen=True, slots=True)
class Page:
    """One page; `text` includes its title line."""

    code: str
    title: str
    text: str

    @property
    def family(self) -> str:
        return FAMILIES[self.code[1:3]]

    @property
    def summary(self) -> str:
        """The first paragraph, on one line."""
        return " ".join(self.text.split("\n\n")[1].split())

    @property
    def address(self) -> str:
        """The page in `docs/errors.md` on the web: its heading has this anchor on GitHub."""
        anchor = re.sub(r"[^\w\- ]", "", f"{self.code}: {self.title}".lower()).replace(" ", "-")
        return f"{HOME}/blob/main/docs/errors.md#{quote(anchor)}"


@cache
def codes() -> tuple[str, ...]:
    """Return all codes that have a page, in numerical order."""
    return tuple(sorted((path.stem for path in FOLDER.glob("*.md")), key=lambda code: (code[1:], code)))


@cache
def page(code: str) -> Page:
    """Return the page of a code: `E0412`, `e0412`, or only its number, `412`. Raises E0001 for an unknown code."""
    upper = code.strip().upper()
    match = re.fullmatch(r"([EWN]?)([0-9]{1,4})", upper)
    same = [known for known in codes() if match is not None and known[1:] == match[2].zfill(4)]
    known_code = next((known for known in same if match is not None and known.startswith(match[1])), None)
    if known_code is None:
        raise error("E0001", f"there is no code `{code[:40]}`", status=2, help=_suggestion(upper, same))
    text = (FOLDER / f"{known_code}.md").read_text(encoding="utf-8")
    return Page(known_code, text.partition("\n")[0].partition(": ")[2], text)


def _suggestion(code: str, same: Sequence[str]) -> str:
    """Suggest a code with the `same` number, or a similar one."""
    alike = [known for known in codes() if known[:3] == code[:3]]
    best = next(iter(same), None) or closest(code, alike) or closest(code, codes())
    if best:
        return f"did you mean {best}?"
    words = f"{HOME}/blob/main/docs/glossary.md explains the words of the field"
    return f"name a code such as E0412 or an op such as `conv`: `archdsl explain` lists all codes; {words}"


def listing() -> str:
    """Return every code with its title, by family."""
    lines: list[str] = []
    family = ""
    for entry in map(page, codes()):
        if entry.family != family:
            family = entry.family
            lines += ["", family] if lines else [family]
        lines.append(f"  {entry.code}  {entry.title}")
    return "\n".join(lines) + "\n"


def errors_page() -> str:
    """Return the text of `docs/errors.md`: all pages, by family."""
    parts = [
        "# Errors, warnings and notes",
        "The pages of `archdsl explain`. A code that starts with E is an error, with W a warning, with N a note.",
    ]
    family = ""
    for entry in map(page, codes()):
        if entry.family != family:
            family = entry.family
            parts.append(f"## {family}")
        parts.append(_with_lower_headings(entry.text))
    return "\n\n".join(parts) + "\n"


def _with_lower_headings(text: str) -> str:
    """A page with its headings two levels lower. Comments in code blocks, which also start with `#`, stay."""
    lines, fenced = [], False
    for line in text.splitlines():
        fenced ^= line.startswith("```")
        lines.append(f"##{line}" if line.startswith("#") and not fenced else line)
    return "\n".join(lines).rstrip()
