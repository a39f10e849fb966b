"""A dense block whose layers are single ops: every view shows each concatenation with both of its inputs."""

from __future__ import annotations

import pytest

import archdsl
from archdsl.analysis.equal_scopes import signatures
from archdsl.drawing.model.compose import compose
from archdsl.drawing.model.drawing import View
from archdsl.drawing.volumes.stages import stage
from archdsl.graph import Graph


def dense(layer: str) -> Graph:
    return archdsl.loads(f"name: t\ninput: 16x8x8\nnet: {{dn: dense 3 * {layer}}}\n").graph


@pytest.mark.parametrize("layer", ["3x3 conv 8", "3x3 conv 8 bn relu"])
@pytest.mark.parametrize("view", [View("block", "dn"), View("layer"), View("block", "", ("*",))], ids=repr)
def test_every_concat_has_two_arrows(layer: str, view: View) -> None:
    drawing = compose(dense(layer), view)
    kinds = [box.kind for box in drawing.boxes()]
    assert kinds[1:-1] == ["conv", "concat"] * 3
    entering = [sum(arrow.target == number for arrow in drawing.arrows) for number in range(len(kinds))]
    assert entering[1:-1] == [1, 2] * 3


@pytest.mark.parametrize("layer", ["3x3 conv 8", "3x3 conv 8 bn relu"])
def test_volumes_have_the_channels_of_the_layers_and_of_the_concats(layer: str) -> None:
    graph = dense(layer)
    drawn = stage(graph, signatures(graph, fields=False), 9).root.stages()
    assert [each.shape[0] for each in drawn] == [16, 8, 24, 8, 32, 8, 40]


@pytest.mark.parametrize("layer", ["3x3 conv 8", "3x3 conv 8 bn relu"])
def test_the_layers_are_counted(layer: str) -> None:
    (box,) = (box for box in compose(dense(layer)).boxes() if box.kind == "block")
    assert box.title == "dense block, 3 layers"
