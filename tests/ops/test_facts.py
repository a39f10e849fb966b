"""Every op states its facts, and an op that leaves one out does not pass."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import ClassVar, Literal, get_args

import pytest

from archdsl.ops import GRAPH_OPS, OPS_BY_NAME, Op, Sugar
from archdsl.ops.base import Example, Free, Look
from archdsl.shapes import Shape

ALL = (*OPS_BY_NAME.values(), GRAPH_OPS[0])
STATED = ("name", "look", "example")
"""Facts without a default."""


def missing(op: type[Op]) -> set[str]:
    """The facts that an op leaves out."""
    return {name for name in STATED if not hasattr(op, name)} | set(op.__abstractmethods__)


@pytest.mark.parametrize("op", ALL, ids=lambda op: op.name)
def test_every_op_states_its_facts(op: type[Op]) -> None:
    assert not missing(op)
    assert op.look in get_args(Look)
    assert op.look == (op.role or op.look), "a norm is drawn as a norm"


def test_an_op_that_leaves_out_a_fact_is_noticed() -> None:
    class NoMacs(Op):
        name: ClassVar[str] = "no_macs"
        look: ClassVar[Look] = "other"
        example: ClassVar[Example] = Example()

        def terms(self, inputs: Sequence[Shape], output: Shape) -> float:
            return 1.0

    class NoTerms(Free):
        name: ClassVar[str] = "no_terms"
        role: ClassVar[Literal["", "norm", "act"]] = "norm"

    assert missing(NoMacs) == {"macs"}
    assert missing(NoTerms) == {"terms", "look", "example"}
    for op, fact in ((NoMacs, "macs"), (NoTerms, "terms")):
        for make in (op, op.model_construct, lambda op=op: op.model_validate({})):
            with pytest.raises(TypeError, match=f"abstract method '?{fact}"):
                make()


def test_sugar_is_in_no_graph() -> None:
    assert {op.name for op in OPS_BY_NAME.values() if issubclass(op, Sugar)} == {"dwconv", "split", "again"}
    assert not any(issubclass(op, Sugar) for op in GRAPH_OPS)


def test_a_name_of_another_framework_means_one_kind() -> None:
    names = Counter(name for op in OPS_BY_NAME.values() for name in op.elsewhere.split())
    assert max(names.values()) == 1 and not set(names) & set(OPS_BY_NAME)
    assert all(name.isalnum() and name == name.lower() for name in names)
