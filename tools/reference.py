"""Generates the pages of the reference from the code, for the site: `docs/conf.py` calls `write` before each build."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

_CODE = re.compile(r"(?<![\w\[/])`?([EWN]0\d{3})`?(?!\w)")
_FENCE = re.compile(r"(^```.*?^```$)", re.MULTILINE | re.DOTALL)


def write(folder: Path) -> None:
    """Write every page that changed, and remove pages that no longer exist."""
    texts = {folder / name: text for name, text in pages()}
    for path in folder.rglob("*.md"):
        if path not in texts:
            path.unlink()
    for path, text in texts.items():
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")


def pages() -> Iterator[tuple[str, str]]:
    """Yield the name of each page below `docs/reference/` and its text."""
    yield from diagnostics()


# --- diagnostics -----------------------------------------------------------------------------------------


def diagnostics() -> Iterator[tuple[str, str]]:
    """Yield a page for each code, and their index by family."""
    from archdsl import explain

    codes = {code: explain.page(code) for code in explain.codes()}
    for code, page in codes.items():
        title, end, rest = page.text.partition("\n")
        parts = _FENCE.split(rest)
        parts[::2] = [_CODE.sub(lambda m, own=code: _code_link(m, own, codes), part) for part in parts[::2]]
        yield f"diagnostics/{code}.md", title + end + "".join(parts)
    lines = [
        "# Errors, warnings and notes",
        "",
        "Each diagnostic has a code and a page: E is an error, W a warning, N a note. `archdsl explain E0412` prints",
        "the same page.",
    ]
    family = ""
    for code, page in codes.items():
        if page.family != family:
            family = page.family
            lines += ["", f"## {family}", ""]
        lines.append(f"* [{code}]({code}.md): {page.title}")
    toctree = ["", "```{toctree}", ":hidden:", "", *codes, "```"]
    yield "diagnostics/index.md", "\n".join([*lines, *toctree]) + "\n"


def _code_link(match: re.Match[str], own: str, codes: object) -> str:
    code = match[1]
    return f"[{code}]({code}.md)" if code != own and code in codes else match[0]  # type: ignore[operator]
