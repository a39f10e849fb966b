"""The process of one contestant: `python -m archdsl.timing.worker`.

It answers each line of JSON on standard input with one line. The first line is the task; the answer follows when the
network is ready. Then `{"times": n}` runs the network n times, and the answer has the milliseconds of each run. The end
of input ends the process. Output that libraries print goes to standard error.
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any


def main() -> None:
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)

    def answer(**facts: Any) -> None:
        answers.write(json.dumps(facts) + "\n")
        answers.flush()

    first, folder = json.loads(sys.stdin.readline()), sys.argv[1]
    try:
        _serve(first, folder, answer)
    except Exception as problem:
        from archdsl.diagnostics import ArchError

        if isinstance(problem, ArchError):
            message = problem.diagnostics[0].message
        else:
            message = f"{type(problem).__name__}: {problem}"
        answer(failed=" ".join(message.split())[:500])


def _serve(first: dict[str, Any], folder: str, answer: Any) -> None:
    import numpy as np

    from archdsl.timing.contestants import CONTESTANTS
    from archdsl.timing.task import Task

    task = Task.from_json(first)
    start = time.perf_counter()
    runner = CONTESTANTS[task.contestant].make(task)
    runner.run()
    ready = time.perf_counter() - start
    path = os.path.join(folder, f"{os.getpid()}.npz")
    np.savez(path, *runner.outputs())
    answer(ready_s=ready, outputs=path, version=runner.version)
    for line in sys.stdin:
        times = []
        for _ in range(json.loads(line)["times"]):
            start = time.perf_counter()
            runner.run()
            times.append(1000 * (time.perf_counter() - start))
        answer(ms=times, peak_bytes=_peak())


def _peak() -> int:
    """The peak memory of this process in bytes; 0 if the system does not report it."""
    try:
        with open("/proc/self/status", encoding="ascii") as status:
            line = next(line for line in status if line.startswith("VmHWM:"))
        return int(line.split()[1]) * 1024
    except (OSError, StopIteration):
        return 0


if __name__ == "__main__":
    main()
