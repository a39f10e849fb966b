"""Pins the actions of the workflows to the commits of their tags: `uses: actions/checkout@<commit> # v4`.

    python tools/pin_actions.py [--check]

A tag can be moved to other code, a commit cannot. Asks the repository of each action (`git ls-remote`), so it needs
the network; run again, it moves each pin to the commit that its tag has now. `--check` writes nothing and exits with
status 1 if a pin would change.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HOST = "https://github.com"
_USES = re.compile(
    r"(?P<head>^\s*-?\s*uses: )(?P<name>[\w.-]+/[\w.-]+)(?P<folder>[\w./-]*)@(?P<ref>\S+)(?: # (?P<tag>\S+))?$", re.M
)


@cache
def commit_of(name: str, tag: str, host: str = HOST) -> str:
    """Return the commit of a tag or branch of a repository; raises LookupError if it has neither."""
    refs = [
        f"refs/tags/{tag}^{{}}",
        f"refs/tags/{tag}",
        f"refs/heads/{tag}",
    ]  # an annotated tag has a commit of its own
    command = ["git", "ls-remote", f"{host}/{name}", *refs]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=True, timeout=60)
    commits = {ref: commit for commit, _, ref in (line.partition("\t") for line in done.stdout.splitlines())}
    found = next((commits[ref] for ref in refs if ref in commits), None)
    if found is None:
        raise LookupError(f"{name} has no tag or branch {tag}")
    return found


def pinned(text: str, commit_of: Callable[[str, str], str]) -> str:
    """Return a workflow with each action at the commit of its tag; the tag stays as a comment."""

    def pin(match: re.Match[str]) -> str:
        tag = match["tag"] or match["ref"]
        return f"{match['head']}{match['name']}{match['folder']}@{commit_of(match['name'], tag)} # {tag}"

    return _USES.sub(pin, text)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing")
    check = parser.parse_args().check
    changed = 0
    for file in sorted((ROOT / ".github/workflows").glob("*.yml")):
        text = file.read_text(encoding="utf-8")
        try:
            new = pinned(text, commit_of)
        except (subprocess.SubprocessError, LookupError) as problem:
            print(f"{file.name}: {getattr(problem, 'stderr', None) or problem}".rstrip(), file=sys.stderr)
            return 2
        if new != text:
            changed += 1
            print(f"{file.name}: {'would change' if check else 'pinned'}")
            if not check:
                file.write_text(new, encoding="utf-8")
    return 1 if check and changed else 0


if __name__ == "__main__":
    sys.exit(main())
