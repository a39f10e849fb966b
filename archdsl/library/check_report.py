"""The result of `archdsl.check`: the diagnostics and claims of every checked spec, as data and as text."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace

from archdsl.diagnostics import Diagnostic, Severity, Source, Span, line_start, render_text
from archdsl.diagnostics.arguments import check_choice
from archdsl.diagnostics.machine import DiagnosticJson, to_github, to_json
from archdsl.library.claims import Verdict
from archdsl.report.shown import ShownAsText
from archdsl.report.table import Style
from archdsl.version import __version__

FORMATS = ("text", "json", "sarif", "github")


@dataclass(frozen=True, slots=True)
class CheckedSpec:
    """The result for one spec: the checked networks, the file's own first, and the exit status."""

    spec: str
    networks: tuple[str, ...]
    diagnostics: tuple[Diagnostic, ...]
    """Each once, in the order of the source. If the file's own network does not have it, a note lists the variants."""
    verdicts: Mapping[str, tuple[Verdict, ...]]
    """By network: its claims, in the order of the spec."""
    status: int

    def count(self, severity: Severity) -> int:
        return sum(d.severity == severity for d in self.diagnostics)


@dataclass(frozen=True, slots=True, repr=False)
class CheckReport(ShownAsText):
    """All checked specs, in order."""

    specs: tuple[CheckedSpec, ...]

    @property
    def diagnostics(self) -> tuple[Diagnostic, ...]:
        return tuple(d for spec in self.specs for d in spec.diagnostics)

    @property
    def networks(self) -> tuple[str, ...]:
        return tuple(name for spec in self.specs for name in spec.networks)

    @property
    def verdicts(self) -> Mapping[str, tuple[Verdict, ...]]:
        return {name: verdicts for spec in self.specs for name, verdicts in spec.verdicts.items()}

    @property
    def files(self) -> tuple[str, ...]:
        """The spec files that were read."""
        return tuple(spec.spec for spec in self.specs if os.path.isfile(spec.spec))

    @property
    def ok(self) -> bool:
        """Whether no spec has an error. Warnings are allowed."""
        return self.status == 0

    @property
    def status(self) -> int:
        """The exit status: 0 without errors, 1 for a wrong spec, 2 for wrong usage or a file that cannot be read."""
        return max(spec.status for spec in self.specs)

    def count(self, severity: Severity) -> int:
        return sum(spec.count(severity) for spec in self.specs)

    def to_json(self) -> list[DiagnosticJson]:
        """The data of `archdsl check --format json`: one dictionary per diagnostic."""
        return to_json(self._located)

    @property
    def summary(self) -> str:
        """`3 specs: 2 errors, 1 warning`, or `3 specs: fine`."""
        number = len(self.specs)
        return f"{number} spec{'s' if number > 1 else ''}: {_counted(self, Style()) or 'fine'}"

    @property
    def _located(self) -> tuple[Diagnostic, ...]:
        """The diagnostics; one without a place is at the first line of its spec, because services require a place."""
        return tuple(
            d if d.span is not None else replace(d, span=Span(Source(spec.spec, ""), 0, 0))
            for spec in self.specs
            for d in spec.diagnostics
        )

    def text(self, format: str = "text", style: Style = Style()) -> str:
        """Return the report as one of FORMATS; `style` applies to `text`, `github` is annotations of GitHub Actions.

        Raises E0001 for another format.
        """
        check_choice("format", format, FORMATS)
        if format == "text":
            return "".join(_as_text(spec, style) for spec in self.specs)
        if format == "github":
            return to_github(self._located)
        if format == "json":
            return json.dumps(self.to_json(), indent=2) + "\n"
        from archdsl.explain.sarif import to_sarif

        return json.dumps(to_sarif(self._located, __version__), indent=2) + "\n"


def _as_text(spec: CheckedSpec, style: Style) -> str:
    """A spec's diagnostics, a line with their number, and its claims."""
    text = render_text(spec.diagnostics, style.color)
    lines = [f"{line_start(spec.spec)}: {_counted(spec, style) or style.paint('fine', 'fine')}{_networks(spec)}"]
    for name, verdicts in spec.verdicts.items():
        lines.append(style.paint("quiet", f"    {name} claims {', '.join(map(str, verdicts))}"))
    return text + ("\n" if text else "") + "\n".join(lines) + "\n" + ("\n" if text else "")


def _counted(checked: CheckedSpec | CheckReport, style: Style) -> str:
    """`2 errors, 1 warning`; empty if there are none."""
    severities: tuple[Severity, ...] = ("error", "warning")
    counts = [(checked.count(severity), severity) for severity in severities]
    return ", ".join(style.paint(word, f"{n} {word}{'s' if n > 1 else ''}") for n, word in counts if n)


def _networks(spec: CheckedSpec) -> str:
    """` (vgg16 and 7 variants)`."""
    if not spec.networks:
        return ""
    others = len(spec.networks) - 1
    return f" ({spec.networks[0]}{f' and {others} variants' if others > 1 else ' and a variant' if others else ''})"
