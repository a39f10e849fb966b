"""`archdsl doctor`: what is installed, and what of it works."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import click

from archdsl.cli.console import Console
from archdsl.cli.options import color_option, format_option

if TYPE_CHECKING:
    from archdsl.runtime.doctor import Findings

_MARKS = {True: "ok", False: "no", None: "--"}
_ROLES = {"ok": "fine", "no": "error", "--": "quiet"}


@click.command("doctor")
@format_option("text", "json")
@color_option
@click.pass_obj
def command(console: Console, format: str) -> None:
    """What is installed, which of ONNX Runtime's providers really run, and how to get what is missing."""
    from archdsl.runtime.doctor import examine

    found = examine()
    if format == "json":
        import json

        console.give(json.dumps(found.to_json(), indent=2) + "\n")
    else:
        console.give(_as_text(console, found))


def _as_text(console: Console, found: Findings) -> str:
    style = console.style()
    lines = [
        f"{style.paint('name', 'archdsl')} {found.archdsl}   Python {found.python}, {found.platform}",
        style.paint("quiet", f"  {found.executable}"),
        style.paint("quiet", f"  {found.library}"),
    ]
    packages = [
        (
            p.version is not None if p.required else (True if p.version else None),
            p.name,
            (p.version or "not installed").removeprefix("onnxruntime "),
            "" if p.version else p.install,
        )
        for p in found.packages
    ]
    providers = [(p.works, p.name, p.detail or "ran a model", "") for p in found.providers]
    engines = [(e.works, e.path, e.detail, "") for e in found.engines]
    lines += _section("packages", packages, style.color)
    lines += _section("ONNX Runtime's providers", providers or [(None, "none", "", "")], style.color)
    lines += _section("drawing", engines or [(False, "Graphviz", "not found", "")], style.color)
    if found.advice:
        lines += ["", style.paint("name", "what to do"), *(f"  {line}" for line in found.advice)]
    return "\n".join(lines) + "\n"


def _section(title: str, rows: Iterable[tuple[bool | None, str, str, str]], color: bool) -> list[str]:
    from archdsl.diagnostics.color import painted

    rows = list(rows)
    widths = max(len(row[1]) for row in rows), max(len(row[2]) for row in rows)
    lines = ["", painted("head", title, color)]
    for state, name, detail, hint in rows:
        mark = _MARKS[state]
        shown = painted(_ROLES[mark], mark, color)
        lines.append(f"  {shown}  {name:<{widths[0]}}  {detail:<{widths[1]}}  {hint}".rstrip())
    return lines
