"""The replay of a training step, with sizes worked out by hand."""

from __future__ import annotations

from archdsl.analysis.training import Call, Tape, Tensor, replay, stored, training_cost

X = Tensor(10, held=True)
W = Tensor(5, False, grad=True, held=True, fixture=True, leaf=True)
Y = Tensor(20, grad=True)
Z = Tensor(20, grad=True)
OUT = Tensor(1, False, grad=True)
CALLS = (Call(0, (X, W), Y, (X, W), macs=7), Call(1, (Y,), Z, (Z,)), Call(2, (Z,), OUT))
TAPE = Tape(CALLS[:2], (X,), (Z,), (W,), held_bytes=20, loss=CALLS[2:])


def test_each_moment_is_the_sum_of_what_is_alive() -> None:
    base = 20 + 40  # the weight and the input of one sample
    forward = [base, base + 80, base + 160, base + 80 + 4]  # y is freed when z is there
    backward = [forward[-1] + 4, forward[-1] + 4 + 80, forward[-1] + 80 + 80, forward[-1] + 80 + 20]
    assert [moment.bytes for moment in replay(TAPE, 1)] == [*forward, *backward, base + 80 + 4 + 20]


def test_a_tensor_that_two_calls_store_counts_once_where_it_is_stored_first() -> None:
    tape = TAPE._replace(calls=(*CALLS[:2], Call(2, (Z,), Y, (Z,))))
    assert stored(tape) == [(0, X), (1, Z)]


def test_the_largest_batch_needs_no_more_than_the_memory() -> None:
    cost = training_cost(TAPE, ["a", "b", "c"], 3, "adam", "fp32", "cuda")
    assert cost.peak_bytes == cost.peak(3) == max(moment.bytes for moment in replay(TAPE, 3, "adam"))
    for memory in (500, 1000, 12345):
        most = cost.largest_batch(memory)
        assert cost.peak(most) <= memory < cost.peak(most + 1)
    assert cost.largest_batch(50) == 0
    assert (cost.forward_flops, cost.backward_flops) == (42, 42), "no gradient of the input"


def test_a_checkpointed_block_stores_its_input_and_runs_again() -> None:
    first = Tensor(4, grad=True)
    calls = (Call(0, (X, W), first, (X, W), macs=1), Call(1, (first,), Y, (Y,), macs=1), Call(1, (Y,), Z, (Z,)))
    tape = Tape(calls, (X,), (Z,), (W,), 20, CALLS[2:], blocks=(range(1, 3),))
    assert stored(tape) == [(0, X), (1, first)]
    cost = training_cost(tape, ["a", "b", "c"], 1, "sgd", "fp32", "cpu")
    assert cost.checkpoint and cost.recomputed_flops == 2
    assert cost.peak_phase == "backward"
