"""Diagnostics for programs: JSON and SARIF."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypedDict

from archdsl.diagnostics.diagnostic import Diagnostic, Edit, Fix
from archdsl.diagnostics.place import Span


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


def to_sarif(diagnostics: Sequence[Diagnostic], version: str) -> dict[str, Any]:
    """Return a SARIF 2.1.0 log with one run, for code-scanning services."""
    results = []
    for d in diagnostics:
        text = "\n".join(
            [d.message, *([d.label] if d.label else []), *d.notes, *([f"help: {d.help}"] if d.help else [])]
        )
        result: dict[str, Any] = {"ruleId": d.code, "level": d.severity, "message": {"text": text}}
        if d.span is not None:
            result["locations"] = [_sarif_location(d.span)]
        if d.labels:
            result["relatedLocations"] = [{**_sarif_location(m.span), "message": {"text": m.text}} for m in d.labels]
        if d.fixes:
            result["fixes"] = [_sarif_fix(fix) for fix in d.fixes]
        results.append(result)
    rules = [{"id": code} for code in sorted({d.code for d in diagnostics})]
    driver = {"name": "archdsl", "version": version, "rules": rules}
    return {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}],
    }


def _sarif_location(span: Span) -> dict[str, Any]:
    return {"physicalLocation": {"artifactLocation": {"uri": span.source.name}, "region": _sarif_region(span)}}


def _sarif_region(span: Span) -> dict[str, int]:
    line, column = span.source.line_column(span.start)
    end_line, end_column = span.source.line_column(span.end)
    return {"startLine": line, "startColumn": column, "endLine": end_line, "endColumn": end_column}


def _sarif_fix(fix: Fix) -> dict[str, Any]:
    changes: dict[str, list[dict[str, Any]]] = {}
    for edit in fix.edits:
        replacement = {"deletedRegion": _sarif_region(edit.span), "insertedContent": {"text": edit.text}}
        changes.setdefault(edit.span.source.name, []).append(replacement)
    listed = [{"artifactLocation": {"uri": uri}, "replacements": made} for uri, made in changes.items()]
    return {"description": {"text": fix.title}, "artifactChanges": listed}
