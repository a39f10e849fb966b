"""Every op states its facts, and an op that leaves one out does not pass."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import pytest

from archdsl.ops import GRAPH_OPS, KINDS, Op, Sugar
from archdsl.ops.base import Free
from archdsl.shapes import Shape

ALL = (*KINDS.values(), GRAPH_OPS[0])


@pytest.mark.parametrize("op", ALL, ids=lambda op: op.kind)
def test_every_op_states_its_facts(op: type[Op]) -> None:
    assert not op.__abstractmethods__


def test_an_op_that_leaves_out_its_macs_or_terms_cannot_be_made() -> None:
    class NoMacs(Op):
        kind: ClassVar[str] = "no_macs"

        def terms(self, inputs: Sequence[Shape], output: Shape) -> float:
            return 1.0

    class NoTerms(Free):
        kind: ClassVar[str] = "no_terms"

    for op, fact in ((NoMacs, "macs"), (NoTerms, "terms")):
        for make in (op, op.model_construct, lambda op=op: op.model_validate({})):
            with pytest.raises(TypeError, match=f"abstract method '?{fact}"):
                make()


def test_sugar_is_in_no_graph() -> None:
    assert {op.kind for op in KINDS.values() if issubclass(op, Sugar)} == {"dwconv", "split", "again"}
    assert not any(issubclass(op, Sugar) for op in GRAPH_OPS)
