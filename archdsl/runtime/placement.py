"""Which provider ran each node: ONNX Runtime silently runs a node on the CPU if no other provider can run it.

The first run of a session is profiled, and the profile names the provider of each node.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import threading
import weakref
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from archdsl.diagnostics import Diagnostic

_KERNEL = "_kernel_time"
_COMPUTING = ("Conv", "Gemm", "MatMul", "Pool", "Normalization", "Resize")
"""Parts of the types of ops that compute on tensors. ONNX Runtime runs computations of shapes on the CPU on purpose."""


def node_events(path: str | Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the name and the event of each node's run in a profile: `dur` in microseconds, `args` with `op_name`."""
    for event in json.loads(Path(path).read_text(encoding="utf-8")):
        if event.get("cat") == "Node" and event["name"].endswith(_KERNEL):
            yield event["name"].removesuffix(_KERNEL), event


class Recording:
    """The profile of a session's first run. `nodes` counts nodes by provider and op; empty before that run."""

    def __init__(self) -> None:
        folder = tempfile.mkdtemp(prefix="archdsl-")
        self._remove = weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        self._lock = threading.Lock()
        self._pending = True
        self.prefix = str(Path(folder) / "profile")
        self.nodes: Mapping[tuple[str, str], int] = {}

    def finish(self, inference: Any) -> None:
        """End the profile after a run; any thread may call it, and further calls do nothing."""
        with self._lock:
            if not self._pending:
                return
            self._pending = False
            events = node_events(inference.end_profiling())
            facts = (event["args"] for _, event in events)
            self.nodes = Counter((str(one.get("provider")), str(one.get("op_name"))) for one in facts)
            self._remove()

    @property
    def counts(self) -> dict[str, int]:
        """The number of nodes by provider."""
        counts: Counter[str] = Counter()
        for (provider, _), number in self.nodes.items():
            counts[provider] += number
        return dict(counts)


def summary(provider: str, counts: Mapping[str, int]) -> str:
    """Return `52 of 54 nodes on CUDAExecutionProvider`, or the provider alone if nothing was counted."""
    total = sum(counts.values())
    return f"{counts.get(provider, 0)} of {total} nodes on {provider}" if total else provider


def misplaced(provider: str, nodes: Mapping[tuple[str, str], int]) -> tuple[Diagnostic, ...]:
    """Return W0885 if nodes that compute on tensors ran on another provider."""
    others = {op: number for (ran, op), number in nodes.items() if ran != provider}
    heavy = [op for op in others if any(part in op for part in _COMPUTING)]
    if not heavy:
        return ()
    listed = ", ".join(f"{others[op]} {op}" for op in sorted(heavy)[:8])
    message = f"nodes ran on another provider than {provider}: {listed}"
    help_ = "each of them copies its values from the GPU and back; `archdsl doctor` reports what works"
    return (Diagnostic("W0885", message, severity="warning", help=help_),)
