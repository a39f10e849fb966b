"""Diagnostics as SARIF 2.1.0, whose rules are the pages of `archdsl explain`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from archdsl.diagnostics import Diagnostic, Source, Span
from archdsl.diagnostics.fixes import Fix
from archdsl.explain import HOME, codes, page

_LEVELS = {"E": "error", "W": "warning", "N": "note"}


def to_sarif(diagnostics: Sequence[Diagnostic], version: str) -> dict[str, Any]:
    """Return a SARIF 2.1.0 log with one run, for code-scanning services. It has the rules of the `diagnostics` only."""
    reported = sorted({d.code for d in diagnostics})
    driver = {"name": "archdsl", "version": version, "informationUri": HOME, "rules": [*map(_rule, reported)]}
    results = [_result(d, reported.index(d.code)) for d in diagnostics]
    return {
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}],
    }


def _rule(code: str) -> dict[str, Any]:
    rule: dict[str, Any] = {"id": code, "defaultConfiguration": {"level": _LEVELS[code[0]]}}
    if code not in codes():
        return rule
    about = page(code)
    return {
        **rule,
        "name": "".join(word.capitalize() for word in re.findall(r"\w+", about.title)),
        "shortDescription": {"text": about.title},
        "fullDescription": {"text": about.summary},
        "help": {"text": about.text, "markdown": about.text},
        "helpUri": about.address,
        "properties": {"tags": [about.family]},
    }


def _result(d: Diagnostic, rule: int) -> dict[str, Any]:
    result: dict[str, Any] = {"ruleId": d.code, "ruleIndex": rule, "level": d.severity, "message": {"text": d.text}}
    if d.span is not None:
        result["locations"] = [_location(d.span)]
    if d.labels:
        result["relatedLocations"] = [{**_location(m.span), "message": {"text": m.text}} for m in d.labels]
    if d.fixes:
        result["fixes"] = [_fix(fix) for fix in d.fixes]
    return result


def _location(span: Span) -> dict[str, Any]:
    return {"physicalLocation": {"artifactLocation": {"uri": _uri(span.source)}, "region": _region(span)}}


def _uri(source: Source) -> str:
    if source.path is not None and source.path.is_absolute():
        return source.path.as_uri()
    return quote(source.name.replace("\\", "/"))


def _region(span: Span) -> dict[str, int]:
    line, column = span.source.line_column(span.start)
    end_line, end_column = span.source.line_column(span.end)
    return {"startLine": line, "startColumn": column, "endLine": end_line, "endColumn": end_column}


def _fix(fix: Fix) -> dict[str, Any]:
    changes: dict[str, list[dict[str, Any]]] = {}
    for edit in fix.edits:
        replacement = {"deletedRegion": _region(edit.span), "insertedContent": {"text": edit.text}}
        changes.setdefault(_uri(edit.span.source), []).append(replacement)
    listed = [{"artifactLocation": {"uri": uri}, "replacements": made} for uri, made in changes.items()]
    return {"description": {"text": fix.title}, "artifactChanges": listed}
