"""Checks of arguments: what a wrong one reports."""

from __future__ import annotations

import pytest

from archdsl.diagnostics import ArchError
from archdsl.diagnostics.arguments import check_choice, check_range, conflict


def test_a_choice_lists_what_exists() -> None:
    check_choice("device", "cpu", ["cpu", "cuda"])
    for value in ("cuta", "", "x" * 1000, None, 3, ["cpu"]):
        with pytest.raises(ArchError) as caught:
            check_choice("device", value, ["cpu", "cuda"])
        (diagnostic,) = caught.value.diagnostics
        assert (diagnostic.code, caught.value.status) == ("E0001", 2)
        assert diagnostic.message.endswith("choose one of: cpu, cuda")
        assert len(diagnostic.message) < 150
        assert diagnostic.help == ("did you mean `cuda`?" if value == "cuta" else "")


def test_a_range_names_its_limits() -> None:
    check_range("top", 1, 1, 1000)
    check_range("seconds", 0.1, 0.1, 600, whole=False)
    for value in (0, 1001, 2.0, True, "5", None, float("nan")):
        with pytest.raises(ArchError, match=r"an integer from 1 to 1,000") as caught:
            check_range("top", value, 1, 1000)
        assert (caught.value.diagnostics[0].code, caught.value.status) == ("E0002", 2)
    with pytest.raises(ArchError, match="`top` cannot be `'5'`: an integer"):
        check_range("top", "5", 1, 1000)
    with pytest.raises(ArchError, match="E0002"):
        check_range("seconds", float("nan"), 0.1, 600, whole=False)


def test_a_conflict_is_wrong_usage() -> None:
    problem = conflict("`weights` applies to a spec")
    assert (problem.diagnostics[0].code, problem.status) == ("E0003", 2)
