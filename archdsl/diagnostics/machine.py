"""Diagnostics for programs: JSON, and annotations of GitHub Actions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict

from archdsl.diagnostics.diagnostic import Diagnostic
from archdsl.diagnostics.fixes import Edit
from archdsl.diagnostics.text import escape_control_lines


class EditJson(TypedDict):
    file: str
    line: int
    column: int
    end_line: int
    end_column: int
    text: str


class FixJson(TypedDict):
    title: str
    safe: bool
    edits: list[EditJson]


class DiagnosticJson(TypedDict):
    code: str
    severity: str
    message: str
    file: str | None
    line: int | None
    column: int | None
    end_line: int | None
    end_column: int | None
    notes: list[str]
    help: str | None
    fixes: list[FixJson]


def to_json(diagnostics: Sequence[Diagnostic]) -> list[DiagnosticJson]:
    """Return the data of `archdsl check --format json`: lines and columns from 1, ends exclusive."""
    out: list[DiagnosticJson] = []
    for d in diagnostics:
        line = column = end_line = end_column = None
        if d.span is not None:
            line, column = d.span.source.line_column(d.span.start)
            end_line, end_column = d.span.source.line_column(d.span.end)
        notes = [*([d.label] if d.label else []), *(f"{label.span}: {label.text}" for label in d.labels), *d.notes]
        out.append(
            {
                "code": d.code,
                "severity": d.severity,
                "message": d.message,
                "file": d.span.source.name if d.span else None,
                "line": line,
                "column": column,
                "end_line": end_line,
                "end_column": end_column,
                "notes": notes,
                "help": d.help or None,
                "fixes": [
                    {"title": fix.title, "safe": fix.safe, "edits": [_edit(edit) for edit in fix.edits]}
                    for fix in d.fixes
                ],
            }
        )
    return out


def _edit(edit: Edit) -> EditJson:
    source = edit.span.source
    (line, column), (end_line, end_column) = source.line_column(edit.span.start), source.line_column(edit.span.end)
    return {
        "file": source.name,
        "line": line,
        "column": column,
        "end_line": end_line,
        "end_column": end_column,
        "text": edit.text,
    }


def to_github(diagnostics: Sequence[Diagnostic]) -> str:
    """Return a workflow command of GitHub Actions for each diagnostic: an annotation at its place in a pull request."""
    lines = []
    for d in diagnostics:
        properties = {"title": f"archdsl {d.code}"}
        place = ""
        if d.span is not None:
            line, column = d.span.source.line_column(d.span.start)
            place = f"{d.span}: "
            properties |= {"file": d.span.source.name, "line": str(line), "col": str(column)}
        text = "\n".join([place + d.message, *([d.label] if d.label else []), *d.notes, *([d.help] if d.help else [])])
        listed = ",".join(f"{key}={_property(value)}" for key, value in properties.items())
        lines.append(f"::{_COMMANDS[d.severity]} {listed}::{_data(text)}\n")
    return "".join(lines)


_COMMANDS = {"error": "error", "warning": "warning", "note": "notice"}


def _data(text: str) -> str:
    """Escape the text of a workflow command, which ends at the end of its line."""
    shown = "\n".join(escape_control_lines(text))
    return shown.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
