"""`archdsl.training_cost`: `network/training.py`."""

from __future__ import annotations

import pytest

import archdsl

NET = archdsl.load("resnet18", input="3x64x64")


def test_amp_and_checkpoints_need_less() -> None:
    plain, half, blocks = (
        archdsl.training_cost(NET, batch=512, precision=precision, checkpoint=checkpoint)
        for precision, checkpoint in (("fp32", False), ("amp", False), ("fp32", True))
    )
    assert half.stored_bytes < 0.6 * plain.stored_bytes and half.peak_bytes < plain.peak_bytes
    assert blocks.stored_bytes < 0.6 * plain.stored_bytes and blocks.flops > plain.flops
    assert blocks.peak_bytes < plain.peak_bytes


def test_states_are_as_large_as_the_trained_parameters() -> None:
    sgd, adam = (archdsl.training_cost(NET, optimizer=name) for name in ("sgd", "adamw"))
    assert sgd.state_bytes == 0 and adam.state_bytes == 2 * adam.gradient_bytes == 8 * NET.params


def test_wrong_arguments_are_errors() -> None:
    with pytest.raises(archdsl.ArchError, match="E0001"):
        archdsl.training_cost(NET, optimizer="lion")  # type: ignore[arg-type]
    with pytest.raises(archdsl.ArchError, match="E0002"):
        archdsl.training_cost(NET, batch=0)
    with pytest.raises(archdsl.ArchError, match="E0005"):
        archdsl.training_cost(archdsl.loads("input: 3x8x8\nnet: {a: 9x9 conv 3 valid}", partial=True))
    with pytest.raises(archdsl.ArchError, match="E0003"):
        archdsl.training_cost(NET, precision="amp", device="cpu")
    cost = archdsl.training_cost(NET)
    for call in (lambda: cost.peak(0), lambda: cost.largest_batch(1e9), lambda: cost.largest_batch("8GiB")):  # type: ignore[arg-type]
        with pytest.raises(archdsl.ArchError, match="E0002"):
            call()


@pytest.mark.parametrize("net", ["[relu, gap]", "['3x3 conv 2 weight=[[0,1,0],[1,-4,1],[0,1,0]] nobias', gap]"])
def test_a_network_of_which_nothing_is_trained_is_an_error(net: str) -> None:
    with pytest.raises(archdsl.ArchError, match="E0920"):
        archdsl.training_cost(archdsl.loads(f"input: 3x8x8\nnet: {net}"))
    assert "without training" in archdsl.compare("lenet5", "edge_filter", where="training > 1kB").notes[0]


def test_a_norm_of_one_value_is_noted() -> None:
    torch = pytest.importorskip("torch")
    net = archdsl.load("resnet18", input="3x32x32")
    for batch, expected in ((1, 1), (2, 0)):
        cost = archdsl.training_cost(net, batch=batch)
        assert len(cost.notes) == expected
    assert "`layer4.0.bn1`" in archdsl.training_cost(net).notes[0]
    with pytest.raises(ValueError, match="more than 1 value"):
        net.to_torch().train()(torch.randn(1, 3, 32, 32))
    assert archdsl.training_cost("lenet5", checkpoint=True).notes[0].endswith("nothing is checkpointed")
