"""Checks that the places which name the version agree, and prints the changes of a version.

    python tools/release.py check [--tag v0.2.0]
    python tools/release.py notes

`archdsl/version.py` decides. The changelog must have a dated section for that version, before those of older versions;
CITATION.cff must have the version and that date; the recipe for conda and the examples in docs the version. `notes`
prints the section of the changelog, for the page of the release. Exits with status 1 if something differs.
"""

from __future__ import annotations

import argparse
import datetime
import re
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_HEADING = re.compile(r"^## (.+)$", re.MULTILINE)
_USED = re.compile(r"archdsl/archdsl(?:@|\n +rev: )v([\w.]+)")
"""An example of the action or of the hooks of pre-commit."""


def versions(changelog: str) -> list[tuple[str, str]]:
    """Return version and date of each section, in the order of the file."""
    return [
        (version, date.strip()) for version, _, date in (text.partition(",") for text in _HEADING.findall(changelog))
    ]


def notes(changelog: str) -> str:
    """Return the text of the first section, without its heading."""
    return re.split(_HEADING, changelog)[2].strip() + "\n"


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")) if re.fullmatch(r"\d+\.\d+\.\d+", version) else ()


def _one(pattern: str, text: str) -> str:
    """The group of a line that must exist once; empty if it does not."""
    matches: list[str] = re.findall(pattern, text, re.MULTILINE)
    return matches[0] if len(matches) == 1 else ""


def problems(root: Path, tag: str | None = None) -> Iterator[str]:
    """Yield what differs from `archdsl/version.py` in the checkout `root`."""

    def read(path: str) -> str:
        return (root / path).read_text(encoding="utf-8")

    version = _one(r'^__version__ = "(.+)"$', read("archdsl/version.py"))
    if not _number(version):
        yield f"archdsl/version.py: {version or 'no version'} is not MAJOR.MINOR.PATCH"
    if tag is not None and tag != f"v{version}":
        yield f"the tag is {tag}, the version {version}"
    sections = versions(read("CHANGELOG.md"))
    first, date = sections[0] if sections else ("", "")
    if first != version:
        yield f"CHANGELOG.md: the first section is {first or 'missing'}, the version {version}"
    numbers = [_number(section) for section, _ in sections]
    if numbers != sorted(set(numbers), reverse=True):
        yield "CHANGELOG.md: the sections are not in order, the newest first"
    try:
        datetime.date.fromisoformat(date)
    except ValueError:
        yield f"CHANGELOG.md: {date or 'nothing'} is not the date of {first}"
    citation = read("CITATION.cff")
    for name, value in (("version", version), ("date-released", date)):
        found = _one(rf"^{name}: (.+)$", citation)
        if found != value:
            yield f"CITATION.cff: {name} is {found or 'missing'}, expected {value}"
    recipe = _one(r'^  version: "(.+)"$', read("packaging/conda/recipe.yaml"))
    if recipe != version:
        yield f"packaging/conda/recipe.yaml: the version is {recipe or 'missing'}, expected {version}"
    for page in sorted((root / "docs").rglob("*.md")):
        for used in _USED.findall(page.read_text(encoding="utf-8")):
            if used != version:
                yield f"{page.relative_to(root).as_posix()}: uses {used}, the version is {version}"


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("action", choices=("check", "notes"))
    parser.add_argument("--tag", help="the tag of the release, such as v0.2.0")
    arguments = parser.parse_args()
    if arguments.action == "notes":
        print(notes((ROOT / "CHANGELOG.md").read_text(encoding="utf-8")), end="")
        return 0
    found = list(problems(ROOT, arguments.tag))
    print(*(found or ["the version is the same everywhere"]), sep="\n")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
