"""Files of rules `OLD=NEW`, one a line: what `weights match` writes and `--rename @FILE` reads."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from archdsl.diagnostics import error
from archdsl.files.atomic import NotRegular, WrittenFile, atomic_write, open_regular

MAX_BYTES = 1 << 24
MARK = "# made by archdsl: names of tensors in the weights file = names in the network"


def read_rules(path: str | os.PathLike[str]) -> list[str]:
    """Return the rules of a file; empty lines and lines that start with `#` are comments.

    Raises E0607 if it cannot be read or is no such file.
    """
    name = str(path)[-120:]
    try:
        with open_regular(path) as file:
            text = file.read(MAX_BYTES + 1)
        lines = [line.strip() for line in text.decode().splitlines()] if len(text) <= MAX_BYTES else ["?"]
    except (OSError, ValueError, NotRegular) as failure:
        why = (failure.strerror if isinstance(failure, OSError) else None) or "it is not a text file"
        raise error("E0607", f"cannot read the rules `{name}`: {why[:1].lower() + why[1:]}", status=2) from failure
    rules = [line for line in lines if line and not line.startswith("#")]
    if wrong := [line for line in rules if "=" not in line]:
        raise error("E0607", f"cannot read the rules `{name}`: `{wrong[0][:60]}` is not `OLD=NEW`", status=2)
    return rules


def expanded(rules: Sequence[str]) -> list[str]:
    """Return the rules, with those of the file in place of each `@FILE`. Raises E0607 as `read_rules` does."""
    return [one for rule in rules for one in (read_rules(rule[1:]) if rule.startswith("@") else [rule])]


def write_rules(
    path: Path,
    rules: Sequence[str],
    notes: Sequence[str],
    force: bool = False,
    inputs: Sequence[str | os.PathLike[str]] = (),
) -> WrittenFile:
    """Write rules, with notes as comments; no input is replaced. Raises E07xx as `archdsl.files.atomic_write`."""
    comments = [f"# {' '.join(line.split())}" for line in notes]

    def mine(path: Path) -> bool:
        with open_regular(path) as file:
            return file.read(len(MARK)) == MARK.encode()

    with atomic_write(path, inputs=inputs, force=force, replaceable=mine) as output:
        output.write("\n".join([MARK, *comments, *rules, ""]).encode())
    assert output.written is not None
    return output.written
