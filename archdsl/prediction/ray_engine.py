"""Run chunks on a Ray cluster: one task per chunk, which Ray repeats where a worker is lost.

Tasks, not Ray Data's pools of actors: a pool whose actors take all CPUs leaves none for the tasks that read, and waits
for ever (docs.ray.io, "Ray Data: execution options and resource limits").
"""

from __future__ import annotations

import json
import os
import tempfile
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from archdsl.backends.onnx.external import model_files
from archdsl.diagnostics import ArchError, error
from archdsl.diagnostics.arguments import check_choice, check_mappings, check_range, check_type
from archdsl.packages import require_package
from archdsl.prediction.inputs import Sample
from archdsl.prediction.parts import model_digest
from archdsl.prediction.predictor import Predictor
from archdsl.prediction.result import Row
from archdsl.prediction.stream import Job, Piece

_LEAST_CPUS, _MOST = 0.001, 2**53
"""A task without a CPU would have no limit on how many run at once."""


@dataclass(frozen=True, slots=True)
class RayEngine:
    """A Ray cluster, with the names of Ray's own options.

    `address` is that of `ray.init` (None: `RAY_ADDRESS`, else a new local cluster). Each task gets `num_cpus`, which is
    also its number of threads, `num_gpus`, `memory` in bytes and custom `resources`; Ray repeats it `max_retries` times
    if its worker or its node is lost. The workers need archdsl, and the images under the same names: a shared file
    system or URLs of a store. The rows come back to this process. Raises E0002 or E0004 for other values.
    """

    address: str | None = None
    num_cpus: float = 1
    num_gpus: float = 0
    memory: float | None = None
    resources: Mapping[str, float] = field(default_factory=dict)
    max_retries: int = 3

    def __post_init__(self) -> None:
        check_type("address", self.address, "an address, or None", str, type(None))
        check_mappings(resources=self.resources)
        amounts = {"num_gpus": self.num_gpus, "memory": self.memory or 0, **self.resources}
        for name, amount in amounts.items():
            check_range(name, amount, 0, _MOST, whole=False)
        check_range("num_cpus", self.num_cpus, _LEAST_CPUS, _MOST, whole=False)
        check_range("max_retries", self.max_retries, 0, _MOST)

    @classmethod
    def from_texts(cls, options: Mapping[str, str]) -> RayEngine:
        """Return the engine for options as text; `resources` is JSON. Raises E0001, E0002 or E0004."""
        values: dict[str, Any] = {}
        for name, text in options.items():
            check_choice("ray", name, cls.__dataclass_fields__)
            try:
                values[name] = text if name == "address" else json.loads(text)
            except ValueError:
                example = '{"tpu": 1}' if name == "resources" else "1"
                raise error(
                    "E0002", f"`ray` cannot be `{name}={text[:60]}`: write {name}={example}", status=2
                ) from None
        return cls(**values)

    def run(self, job: Job, chunks: Iterable[tuple[int, Sequence[Sample]]]) -> Iterator[Piece]:
        """Yield the rows of each chunk, in order. At most twice as many tasks as can run are under way.

        Raises E0807 for a missing Ray, E0833 if the cluster lacks a resource or a task fails more than `max_retries`
        times.
        """
        require_package("ray")
        import ray

        started = not ray.is_initialized()
        if started:
            os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # a cluster that starts here reports to nobody
            try:
                ray.init(self.address, log_to_driver=False, logging_level="ERROR")
            except (ConnectionError, ValueError, RuntimeError) as problem:
                raise _failed(f"Ray does not start: {str(problem)[:300]}", "check `address`") from None
        try:
            yield from self._run(ray, job, chunks)
        finally:
            if started:
                ray.shutdown()

    def _run(self, ray: Any, job: Job, chunks: Iterable[tuple[int, Sequence[Sample]]]) -> Iterator[Piece]:
        most = 2 * self._places(ray.cluster_resources())
        files = {path.name: path.read_bytes() for path in model_files(job.model)}
        shipped, key = [ray.put(files)], f"{model_digest(job.model)} {job.device} {self.num_cpus}"
        job = replace(job, workers=max(int(self.num_cpus), 1), threads=1)
        wanted = {"num_cpus": self.num_cpus, "num_gpus": self.num_gpus, "resources": dict(self.resources)}
        options = {**wanted, "memory": self.memory, "max_retries": self.max_retries}
        task = ray.remote(**options)(_rows)
        waiting: deque[tuple[int, Any]] = deque()
        for number, samples in chunks:
            waiting.append((number, task.remote(key, shipped, job, samples)))
            if len(waiting) == most:
                yield self._taken(ray, *waiting.popleft())
        while waiting:
            yield self._taken(ray, *waiting.popleft())

    def _taken(self, ray: Any, number: int, result: Any) -> Piece:
        try:
            return number, ray.get(result)
        except ray.exceptions.RayTaskError as problem:
            if isinstance(problem.cause, ArchError):
                raise problem.cause from None
            raise _failed(f"chunk {number} failed: {str(problem.cause)[:300]}") from None
        except ray.exceptions.RayError as problem:
            why = " ".join(str(problem).split())[:300]
            message = f"chunk {number} failed {self.max_retries + 1} times: {why}"
            raise _failed(message, "see Ray's logs; with a folder, `--resume` continues") from None

    def _places(self, available: Mapping[str, float]) -> int:
        """How many tasks the cluster can run. Raises E0833 if it cannot run one: Ray would wait for ever."""
        wanted = {"CPU": self.num_cpus, "GPU": self.num_gpus, "memory": self.memory or 0, **self.resources}
        for name, amount in wanted.items():
            if amount > available.get(name, 0):
                has = f"{available.get(name, 0):g}"
                raise _failed(f"a task needs {amount:g} {name}, the cluster has {has}", "ask for less, or add a node")
        return max(int(min(available.get(name, 0) / amount for name, amount in wanted.items() if amount)), 1)


def _failed(why: str, help: str = "") -> ArchError:
    return error("E0833", why, status=2, help=help)


_models: dict[str, tuple[Predictor, tempfile.TemporaryDirectory[str]]] = {}
"""In a worker of Ray: the last model, which the next task of the same run uses again."""


def _rows(key: str, shipped: Sequence[Any], job: Job, samples: Sequence[Sample]) -> list[Row]:
    """Return the rows of a chunk, in a worker of Ray. `shipped` is in a list so that Ray does not copy it each time."""
    if key not in _models:
        import ray

        folder = tempfile.TemporaryDirectory(prefix="archdsl-")
        for name, data in ray.get(shipped[0]).items():
            Path(folder.name, name).write_bytes(data)
        _models.clear()
        _models[key] = replace(job, model=Path(folder.name, job.model.name)).open(), folder
    predictor, _ = _models[key]
    return [row for _, rows in job.run(predictor, [(0, samples)]) for row in rows]
