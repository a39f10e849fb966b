"""Run the command in a terminal, as a user does."""

from __future__ import annotations

import os
import select
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence


def on_a_terminal(args: Sequence[str], environment: Mapping[str, str], limit_s: float = 60) -> str:
    """What `archdsl *args` writes to standard output, a terminal. Fails after an error, or after `limit_s`."""
    import pty  # only on POSIX

    primary, secondary = pty.openpty()
    deadline = time.monotonic() + limit_s
    command = [sys.executable, "-m", "archdsl", *args]
    child = subprocess.Popen(command, stdout=secondary, stderr=subprocess.DEVNULL, env=dict(environment))
    os.close(secondary)
    output = b""
    try:
        while select.select([primary], [], [], max(0, deadline - time.monotonic()))[0]:
            try:
                chunk = os.read(primary, 65536)
            except OSError:  # Linux: the child has closed its end
                break
            if not chunk:
                break
            output += chunk
        assert child.wait(max(1, deadline - time.monotonic())) == 0
    finally:
        child.kill()
        os.close(primary)
    return output.decode()
