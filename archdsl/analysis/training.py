"""Memory and work of a training step, by replaying its calls: forward, backward, optimiser.

A target describes a step as a `Tape` of calls, one for each differentiable function, in the order in which they run.
`replay` allocates and frees what they store, as autograd does. It knows neither ops nor frameworks.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, TypeAlias

from archdsl.diagnostics.arguments import check_range

MAX_BATCH = 2**31 - 1
Optimizer: TypeAlias = Literal["sgd", "adam", "adamw"]
Precision: TypeAlias = Literal["fp32", "amp"]
Device: TypeAlias = Literal["cuda", "cpu"]
Phase: TypeAlias = Literal["forward", "backward", "optimizer"]
STATES = {"sgd": 0, "adam": 2, "adamw": 2}
"""Tensors of a parameter's size that an optimiser keeps; `sgd` is without momentum."""
_TEMPORARY = {"sgd": 0, "adam": 1, "adamw": 1}
"""Temporary tensors of an update: of all parameters at once on CUDA, two of one after another elsewhere."""


@dataclass(slots=True, eq=False)
class Tensor:
    """A tensor of the step: `values` for each sample, or once if not `batched`. A view has its `owner`'s memory."""

    values: int
    batched: bool = True
    size: int = 4
    """Bytes of one value."""
    grad: bool = False
    """Whether a gradient is computed for it."""
    held: bool = False
    """Whether it exists before the step: a parameter, a buffer, an input."""
    fixture: bool = False
    """Whether it is a parameter or a buffer."""
    leaf: bool = False
    """Whether it is a trained parameter."""
    last: bool = False
    """Whether the channels are the last axis in memory."""
    view_of: Tensor | None = None

    @property
    def owner(self) -> Tensor:
        return self if self.view_of is None else self.view_of

    def bytes(self, batch: int) -> int:
        return self.values * self.size * (batch if self.batched else 1)


class Call(NamedTuple):
    """One differentiable function: what it reads, makes and stores for its backward.

    `same`: the gradients of its inputs are that of its result, or views of it. `scratch`: temporary tensors of its
    backward. `macs`: multiply-accumulates for one sample.
    """

    node: int
    reads: tuple[Tensor, ...]
    result: Tensor
    saves: tuple[Tensor, ...] = ()
    same: bool = False
    scratch: tuple[Tensor, ...] = ()
    macs: int = 0


class Tape(NamedTuple):
    """The calls of a forward pass, its inputs and outputs, and the ranges of calls that are checkpointed."""

    calls: tuple[Call, ...]
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    parameters: tuple[Tensor, ...]
    held_bytes: int
    """Bytes of all parameters and buffers."""
    loss: tuple[Call, ...] = ()
    """The calls of the losses, each with the gradient 1."""
    blocks: tuple[range, ...] = ()


class Moment(NamedTuple):
    """Bytes alive at one moment, and the node and the phase in which it is."""

    bytes: int
    node: int
    phase: Phase


@dataclass(slots=True, eq=False)
class _Gradient:
    """The memory of a gradient, which several may share."""

    bytes: int
    uses: int = 1


@dataclass(slots=True)
class _Replay:
    batch: int
    live: int = 0
    node: int = 0
    phase: Phase = "forward"
    moments: list[Moment] = field(default_factory=list)
    uses: dict[Tensor, int] = field(default_factory=dict)
    gradients: dict[Tensor, _Gradient] = field(default_factory=dict)

    def allocate(self, count: int) -> None:
        self.live += count
        self.moments.append(Moment(self.live, self.node, self.phase))

    def keep(self, tensor: Tensor) -> None:
        owner = tensor.owner
        if not owner.held:
            if owner not in self.uses:
                self.allocate(owner.bytes(self.batch))
            self.uses[owner] = self.uses.get(owner, 0) + 1

    def release(self, tensor: Tensor) -> None:
        owner = tensor.owner
        if owner in self.uses:
            self.uses[owner] -= 1
            if not self.uses[owner]:
                del self.uses[owner]
                self.live -= owner.bytes(self.batch)

    def forward(self, calls: Sequence[Call], stay: Set[Tensor], blocks: Sequence[range] = ()) -> None:
        """Run calls. A result is freed after its last reader, unless it is stored or in `stay`.

        What a node reads exists until the node is done. A call in a checkpointed block stores nothing; the block stores
        what it reads from outside.
        """
        done = {call.node: n for n, call in enumerate(calls)}
        home = {call.result.owner: call.node for call in reversed(calls)}
        last = {
            read.owner: n if home.get(read.owner) == call.node else done[call.node]
            for n, call in enumerate(calls)
            for read in (*call.reads, call.result)
        }
        ends: list[list[Tensor]] = [[] for _ in calls]
        for owner, n in last.items():
            ends[n].append(owner)
        starts = {block.start: block_inputs(calls[block.start : block.stop]) for block in blocks}
        skipped = {n for block in blocks for n in block}
        made: set[Tensor] = set()
        for n, call in enumerate(calls):
            self.node = call.node
            if call.result.view_of is None:
                self.keep(call.result)
                made.add(call.result)
            for tensor in (*starts.get(n, ()), *(call.saves if n not in skipped else ())):
                self.keep(tensor)
            for owner in ends[n]:
                if owner in made and owner not in stay:
                    self.release(owner)

    def drop(self, gradient: _Gradient) -> None:
        gradient.uses -= 1
        self.live -= 0 if gradient.uses else gradient.bytes

    def give(self, tensor: Tensor) -> _Gradient:
        """Allocate a gradient of the size of a tensor."""
        gradient = _Gradient(tensor.bytes(self.batch))
        self.allocate(gradient.bytes)
        return gradient

    def backward(self, call: Call) -> None:
        self.node = call.node
        gradient = self.gradients.pop(call.result, None)
        view = call.result.view_of is not None
        if gradient is not None:
            given = []
            for read in call.reads:
                if read.grad and call.same and (view or not read.leaf):
                    gradient.uses += 1
                    given.append((read, gradient))
                elif read.grad:
                    given.append((read, self.give(read)))
            for temporary in [self.give(tensor) for tensor in call.scratch]:
                self.drop(temporary)
            self.drop(gradient)
        for tensor in call.saves:
            self.release(tensor)
        if gradient is not None:
            for read, one in given:
                self.add(read, one, view and read.leaf)

    def add(self, tensor: Tensor, gradient: _Gradient, view: bool = False) -> None:
        """Add a gradient to those of other readers: in place, unless they share memory or are views for a parameter."""
        before = self.gradients.get(tensor)
        if before is None:
            self.gradients[tensor] = gradient
            return
        if before.uses > 1 or view:
            self.gradients[tensor] = self.give(tensor)
            self.drop(before)
        self.drop(gradient)


def replay(tape: Tape, batch: int, optimizer: Optimizer = "sgd", device: Device = "cuda") -> list[Moment]:
    """Return the bytes alive after each allocation of a training step, from its second on.

    Parameters, buffers, the optimiser's state and the inputs exist throughout; gradients of parameters from backward
    on. The calls of two batches are the same, so that each moment is affine in the batch.
    """
    now = _Replay(batch)
    state = STATES[optimizer] * sum(p.bytes(batch) for p in tape.parameters)
    now.allocate(tape.held_bytes + state + sum(t.bytes(batch) for t in tape.inputs))
    calls = (*tape.calls, *tape.loss)
    losses = {call.result for call in tape.loss} - {read for call in tape.loss for read in call.reads}
    now.forward(calls, {t.owner for t in tape.outputs} | losses, tape.blocks)
    now.phase = "backward"
    for loss in losses:
        now.add(loss, now.give(loss))
    starts = {block.start: block for block in tape.blocks}
    ends = {block.stop - 1: block for block in tape.blocks}
    for n in reversed(range(len(calls))):
        if n in ends:
            now.forward(calls[ends[n].start : n + 1], frozenset())
        now.backward(calls[n])
        if n in starts:
            for tensor in block_inputs(calls[n : starts[n].stop]):
                now.release(tensor)
    now.phase = "optimizer"
    sizes = [p.bytes(batch) for p in tape.parameters]
    now.allocate(_TEMPORARY[optimizer] * (sum(sizes) if device == "cuda" else 2 * max(sizes, default=0)))
    return now.moments


def block_inputs(calls: Sequence[Call]) -> tuple[Tensor, ...]:
    """Return the tensors that some calls read and do not make."""
    made = {call.result for call in calls}
    return tuple(dict.fromkeys(read for call in calls for read in call.reads if read not in made and not read.held))


def stored(tape: Tape) -> list[tuple[int, Tensor]]:
    """Return each tensor that a backward needs, once, with the node that stores it first; without parameters."""
    seen: dict[Tensor, int] = {}
    skipped = {n: block for block in tape.blocks for n in block}
    for n, call in enumerate(tape.calls):
        block = skipped.get(n)
        saves = (
            call.saves if block is None else block_inputs([tape.calls[i] for i in block]) if n == block.start else ()
        )
        for tensor in saves:
            if not tensor.owner.fixture:
                seen.setdefault(tensor.owner, call.node)
    return [(node, tensor) for tensor, node in seen.items()]


def trains(tape: Tape) -> bool:
    """Return whether any gradient is computed."""
    return any(output.grad for output in tape.outputs)


class NodeCost(NamedTuple):
    """One node: bytes that it stores for the backward and that no earlier node stores, and the FLOPs of a step."""

    stored: int
    flops: int


@dataclass(frozen=True, slots=True)
class TrainingCost:
    """What a training step costs, in bytes and FLOPs, for `batch` samples."""

    batch: int
    optimizer: Optimizer
    precision: Precision
    device: Device
    checkpoint: bool
    weight_bytes: int
    """Of all parameters and buffers."""
    gradient_bytes: int
    """Of the gradients of all trained parameters."""
    state_bytes: int
    """Of what the optimiser keeps."""
    input_bytes: int
    stored_bytes: int
    """Of what forward stores for backward, without parameters; the input is included if a layer stores it."""
    peak_bytes: int
    peak_node: str
    """The path of the node at which the peak is reached."""
    peak_phase: Phase
    forward_flops: int
    backward_flops: int
    recomputed_flops: int
    """Of the second forward of checkpointed blocks."""
    nodes: tuple[NodeCost, ...]
    """By the ids of the graph's nodes."""
    moments: tuple[tuple[int, int], ...] = field(repr=False)
    """The bytes alive after each allocation: those of no sample, and those of each sample."""
    notes: tuple[str, ...] = ()
    """Why PyTorch refuses such a step, or an option changes nothing."""

    @property
    def flops(self) -> int:
        return self.forward_flops + self.backward_flops + self.recomputed_flops

    def peak(self, batch: int) -> int:
        """Return the peak memory in bytes for another batch, from 1 on (E0002)."""
        check_range("batch", batch, 1, MAX_BATCH)
        return max(fixed + batch * each for fixed, each in self.moments)

    def largest_batch(self, memory: int) -> int:
        """Return the largest batch whose peak is at most `memory`, an integer of bytes; 0 if no batch fits."""
        check_range("memory", memory, 0, 2**63)
        if max(fixed for fixed, _ in self.moments) > memory:
            return 0
        return min((memory - fixed) // each for fixed, each in self.moments if each)


def training_cost(
    tape: Tape, paths: Sequence[str], batch: int, optimizer: Optimizer, precision: Precision, device: Device
) -> TrainingCost:
    """Return the cost of a tape; `paths` are those of the nodes by id."""
    none, one = replay(tape, 0, optimizer, device), replay(tape, 1, optimizer, device)
    moments = [(a.bytes, b.bytes - a.bytes) for a, b in zip(none, one, strict=True)]
    peaks = [fixed + batch * each for fixed, each in moments]
    at = max(range(len(peaks)), key=peaks.__getitem__)
    stores, flops = [0] * len(paths), [0] * len(paths)
    for node, tensor in stored(tape):
        stores[node] += tensor.owner.bytes(batch)
    again = {n for block in tape.blocks for n in block}
    forward = backward = recomputed = 0
    for n, call in enumerate(tape.calls):
        work = 2 * call.macs * batch
        parts = work, work * sum(read.grad for read in call.reads[:2]), work * (n in again)
        forward, backward, recomputed = forward + parts[0], backward + parts[1], recomputed + parts[2]
        flops[call.node] += sum(parts)
    trained = sum(p.bytes(1) for p in tape.parameters)
    return TrainingCost(
        batch=batch,
        optimizer=optimizer,
        precision=precision,
        device=device,
        checkpoint=bool(tape.blocks),
        weight_bytes=tape.held_bytes,
        gradient_bytes=trained,
        state_bytes=trained * STATES[optimizer],
        input_bytes=sum(t.bytes(batch) for t in tape.inputs),
        stored_bytes=sum(stores),
        peak_bytes=peaks[at],
        peak_node=paths[none[at].node],
        peak_phase=none[at].phase,
        forward_flops=forward,
        backward_flops=backward,
        recomputed_flops=recomputed,
        nodes=tuple(map(NodeCost, stores, flops)),
        moments=tuple(dict.fromkeys(moments)),
    )
