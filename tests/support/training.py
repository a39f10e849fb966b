"""What a training step of the generated module stores and needs, as torch itself reports it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

import archdsl
from archdsl.shapes import concrete

OPTIMIZERS = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam, "adamw": torch.optim.AdamW}


def printed(net: archdsl.Network) -> Any:
    """Return the module that the generated source defines, in training mode."""
    space: dict[str, Any] = {"__name__": "printed"}
    exec(compile(net.to_source(), "printed", "exec"), space)
    return space["build"]().train()


def samples(net: archdsl.Network, batch: int, **options: Any) -> list[Any]:
    return [torch.randn(batch, *concrete(net.graph.nodes[i].shape), **options) for i in net.graph.inputs]


def saved_bytes(
    net: archdsl.Network, batch: int = 2, device: str = "cpu", amp: bool = False, gradients: bool = False
) -> int:
    """Return the bytes of the storages that autograd saves, each once, without those of parameters and buffers.

    The tensors are fake: they have a device, but no memory, so that a GPU is not needed. `gradients`: the inputs
    require gradients, and with `amp` they are in half precision, as behind another layer.
    """
    saved: dict[int, Any] = {}

    def pack(tensor: Any) -> Any:
        storage = tensor.untyped_storage()
        if storage._cdata not in held:
            saved[storage._cdata] = storage  # kept alive, so that its address is not used again
        return tensor

    with FakeTensorMode(), torch.device(device), _autocast(device, amp):
        module = printed(net)
        dtype = _half(device) if amp and gradients else torch.float32
        given = samples(net, batch, requires_grad=gradients, dtype=dtype)
        held = {tensor.untyped_storage()._cdata for tensor in (*module.parameters(), *module.buffers())}
        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            result = module(*given)
    del result
    return sum(storage.nbytes() for storage in saved.values())


def _half(device: str) -> torch.dtype:
    return torch.float16 if device == "cuda" else torch.bfloat16


@contextmanager
def _autocast(device: str, on: bool) -> Iterator[None]:
    """As `torch.autocast`, which refuses a device that the machine lacks."""
    if not on:
        yield
        return
    torch.set_autocast_enabled(device, True)
    torch.set_autocast_dtype(device, _half(device))
    try:
        yield
    finally:
        torch.set_autocast_enabled(device, False)
        torch.clear_autocast_cache()


def step_flops(net: archdsl.Network, batch: int = 2) -> tuple[int, int]:
    """Return torch's count of the FLOPs of a forward, and of a step."""
    with FakeTensorMode():
        module = printed(net)
        given = samples(net, batch)
        with FlopCounterMode(display=False) as counter:
            result = module(*given)
            forward = counter.get_total_flops()
            sum(y.sum() for y in _listed(result)).backward()
    return forward, counter.get_total_flops()


def _listed(outputs: Any) -> list[Any]:
    if isinstance(outputs, torch.Tensor):
        return [outputs]
    return list(outputs.values() if isinstance(outputs, dict) else outputs)


# --- memory of a whole step on the CPU ----------------------------------------------------------------------


def step(net: archdsl.Network, batch: int, optimizer: str, amp: bool, checkpoint: Any) -> Any:
    """Return a function that runs a training step, and the bytes that exist before it."""
    torch.manual_seed(0)
    module, given = printed(net), samples(net, batch)
    if checkpoint is not None:
        checkpoint(module)
    update = OPTIMIZERS[optimizer]([p for p in module.parameters() if p.requires_grad], lr=1e-4)

    def run() -> None:
        update.zero_grad(set_to_none=True)
        with torch.autocast("cpu", torch.bfloat16, enabled=amp):
            outputs = module(*given)
            listed = _listed(outputs)
            loss = sum(F.cross_entropy(y, torch.zeros(y.shape[0], *y.shape[2:], dtype=torch.long)) for y in listed)
        loss.backward()
        update.step()

    run()
    update.zero_grad(set_to_none=True)
    state = [t for values in update.state.values() for t in values.values() if t.dim()]
    return run, sum(t.nbytes for t in (*module.parameters(), *module.buffers(), *given, *state))


def peak_bytes(
    net: archdsl.Network, batch: int = 2, optimizer: str = "sgd", amp: bool = False, checkpoint: Any = None
) -> tuple[int, int]:
    """Return the peak of the profiler's memory events during a step, without and with workspaces of convolutions.

    A workspace is memory that a convolution allocates and frees before it ends.
    """
    run, base = step(net, batch, optimizer, amp, checkpoint)
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as recorded:
        run()
    events = list(_allocations(recorded.profiler.kineto_results.experimental_event_tree(), None))
    events.sort(key=lambda event: event[0])
    workspaces, open_ = set(), {}
    for number, (time, address, size, end) in enumerate(events):
        if size > 0:
            open_[address] = (number, end)
        elif address in open_:
            start, inside = open_.pop(address)
            if inside is not None and time <= inside:
                workspaces |= {start, number}
    return _highest(base, events, workspaces), _highest(base, events, set())


def _highest(base: int, events: list[Any], without: set[int]) -> int:
    now = highest = base
    for number, (_, _, size, _) in enumerate(events):
        now += 0 if number in without else size
        highest = max(highest, now)
    return highest


def _allocations(events: Any, end: int | None) -> Iterator[tuple[int, int, int, int | None]]:
    """Yield time, address, bytes (negative: freed), and the end of the convolution around, if any."""
    for event in events:
        if event.tag == torch._C._profiler._EventType.Allocation:
            yield event.start_time_ns, event.extra_fields.ptr, event.extra_fields.alloc_size, end
        inside = event.end_time_ns if end is None and "aten::convolution" in event.name else end
        yield from _allocations(event.children, inside)
