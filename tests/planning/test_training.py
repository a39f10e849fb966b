"""The memory in which a network is to be trained."""

from __future__ import annotations

import pytest

import archdsl
from archdsl.planning.training import memory_bytes

NET = archdsl.load("resnet18", input="3x64x64")


def test_memory_is_a_quantity_of_bytes() -> None:
    cost = archdsl.training_cost(NET)
    assert memory_bytes(NET, cost, "24GiB") == 24 * 2**30 and memory_bytes(NET, cost, "24 GB") == 24 * 10**9
    for text, code, words in (
        ("5M", "E0912", "count"),
        ("24", "E0912", "no unit"),
        ("1MiB", "E0921", "alone do not fit"),
    ):
        with pytest.raises(archdsl.ArchError, match=code) as caught:
            memory_bytes(NET, cost, text)
        assert words in str(caught.value)


def test_what_needs_less_is_proposed() -> None:
    net = archdsl.load("unet")
    with pytest.raises(archdsl.ArchError, match="E0921") as caught:
        memory_bytes(net, archdsl.training_cost(net), "1GB")
    assert "with `--precision amp`" in str(caught.value) and "alone" not in str(caught.value)


def test_only_what_needs_less_is_proposed() -> None:
    cost = archdsl.training_cost(NET, optimizer="adam")
    with pytest.raises(archdsl.ArchError, match="E0921") as caught:
        memory_bytes(NET, cost, "180MB")
    assert "`--optimizer sgd`" in str(caught.value) and "with `--precision amp`" not in str(caught.value)
