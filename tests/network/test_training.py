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
