"""`check_source`: the report of `check`, network by network, from a text that is read already."""

from __future__ import annotations

from pathlib import Path

import pytest

import archdsl
from archdsl.library.check import check_source
from archdsl.library.check_report import CheckedSpec
from archdsl.source import read
from archdsl.spec.find import library_folder

WRONG = "name: a\ninput: 3x8x8\nnet: {conv: 3x3 conv 8, fc: fc 10, more: 3x3 conv 4}\n"


def content(report: CheckedSpec) -> tuple[object, ...]:
    """A report without its `Source`, which is another object each time a file is read."""
    verdicts = {name: [(v.claim.name, v.true, v.holds) for v in every] for name, every in report.verdicts.items()}
    diagnostics = [(d.code, d.message, str(d.span), d.notes, d.help) for d in report.diagnostics]
    return report.networks, report.status, verdicts, diagnostics


@pytest.mark.parametrize("name", ["resnet50", "googlenet", "lenet5"])
def test_the_last_report_is_that_of_check(name: str) -> None:
    path = library_folder() / f"{name}.yaml"
    *_, (report, net) = check_source(read(path))
    assert content(report) == content(archdsl.check(str(path)).specs[0])
    assert net.complete and net.name == name


@pytest.mark.parametrize("text", [WRONG, "net: [", "extends: nothing\n", "a: b\n" * 2, "", "input: 3x\nnet: conv 3\n"])
def test_errors_are_those_of_check(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(text)
    *_, (report, net) = check_source(read(path))
    assert report.diagnostics and not net.complete
    assert content(report) == content(archdsl.check(path).specs[0])
