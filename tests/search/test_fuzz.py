"""The fuzzer's corpus, and a moment of its mutations; for longer by `python -m tests.search.fuzz`."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.search.fuzz import without


@pytest.fixture(autouse=True)
def limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fuzzer's limit is for its own process: afterwards that of everybody holds again."""
    from archdsl.elaborate import bound

    monkeypatch.setattr(bound, "MAX_NODES", bound.MAX_NODES)


@pytest.mark.parametrize(("name", "most"), [("loader", 400), ("shorthand", 4000), ("expression", 4000)])
def test_only_archdsls_own_error_comes_out(name: str, most: int, tmp_path: Path) -> None:
    assert without(name, 60, 1, tmp_path, most) > 10


def test_a_finding_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(data: bytes) -> None:
        raise RecursionError

    monkeypatch.setattr("tests.search.fuzz.targets", lambda: {"loader": wrong})
    with pytest.raises(SystemExit, match="findings"):
        without("loader", 5, 0, tmp_path, 20)
    assert [file.name.split("-")[0] for file in tmp_path.iterdir()] == ["loader"]
