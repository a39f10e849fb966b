"""Runs the code blocks of a page in order, in one folder, and renews what `console` blocks show.

`yaml` and `python` blocks whose first line is `# NAME.yaml` or `# NAME.py` are saved. `sh` blocks run in bash and must
succeed. `console` blocks have commands, `$ ...`, each with its output and whatever exit status. `python` blocks run in
one namespace; with `>>>` they are doctests. `...` in an expected output stands for any text. A block below the line
`> Not run by the tests: REASON` is not run.
"""

from __future__ import annotations

import contextlib
import doctest
import io
import os
import re
import subprocess
import sys
import traceback
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
SHOWN = {
    "",
    "text",
    "mermaid",
    "json",
    "toml",
    "ini",
    "diff",
    "html",
    "javascript",
    "vim",
    "lua",
    "lisp",
    "onnx",
    "bibtex",
}
"""Languages of blocks that are only shown. All others run, or are marked."""

_BLOCK = re.compile(r"^( *)```(\{?[\w-]*\}?)[^\n]*\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_NOT_RUN = re.compile(r"(?:\A|\n)> Not run by the tests: (.+\n(?:>.*\n)*)\n?\Z")
_NAME = re.compile(r"# ([\w./-]+\.(?:yaml|yml|py))\n")
_HASH = re.compile(r"\b[0-9a-f]{64}\b")
_LIMIT_S = 60
_END = "\x1e"


@dataclass(frozen=True)
class Block:
    """A fenced block: `line` is that of its fence, `start` the place of `text` in the page."""

    language: str
    text: str
    line: int
    start: int
    not_run: str | None

    @property
    def name(self) -> str | None:
        match = _NAME.match(self.text) if self.language in ("yaml", "python") else None
        return match[1] if match else None

    def save(self, folder: Path) -> None:
        """Save the block under its name, if it has one."""
        if self.name is not None:
            path = folder / self.name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(self.text, encoding="utf-8")


def blocks(text: str) -> Iterator[Block]:
    """Yield the fenced blocks of a page."""
    for match in _BLOCK.finditer(text):
        reason = _NOT_RUN.search(text[: match.start()])
        line = text.count("\n", 0, match.start()) + 1
        yield Block(match[2], match[3], line, match.start(3), reason and " ".join(reason[1].replace(">", "").split()))


@dataclass
class Run:
    """The text of a page with its current outputs, and the failures of its blocks."""

    text: str
    failures: list[str] = field(default_factory=list)


def preparation(page: str) -> str:
    """Return the name of a page's function in `tests/docs/prepare.py`: `guides_ci` for `docs/guides/ci.md`."""
    return re.sub(r"\W", "_", page.removeprefix("docs/").removesuffix(".md"))


def run(page: str, folder: Path) -> Run:
    """Run a page, `docs/NAME.md`, in a folder after its function in `tests/docs/prepare.py`."""
    sys.path.insert(0, str(ROOT))
    from tests.docs import prepare

    text = (ROOT / page).read_text(encoding="utf-8")
    getattr(prepare, preparation(page), lambda folder: None)(folder)
    done, names, moved = Run(text), {"__name__": "__main__"}, 0
    executed = ("python",) if page == "README.md" else ("sh", "python")
    with contextlib.chdir(folder), _importable(folder):
        for block in blocks(text):
            if block.name is not None:
                block.save(folder)
            elif block.not_run is None and block.language == "console":
                shown = _session(block.text, folder)
                start = block.start + moved
                done.text = done.text[:start] + shown + done.text[start + len(block.text) :]
                moved += len(shown) - len(block.text)
            elif block.not_run is None and block.language in executed:
                failure = _bash(block.text, folder) if block.language == "sh" else _python(block.text, names, page)
                done.failures += [f"{page}:{block.line}: {failure}"] if failure else []
    return done


# --- shell -----------------------------------------------------------------------------------------------


def _session(old: str, folder: Path) -> str:
    """A console block with its current outputs; an old output that describes the current one stays."""
    entries = re.findall(r"^(\$ .*\n(?:> .*\n)*)((?:(?!\$ ).*\n)*)", old, re.MULTILINE)
    commands = [entry[0][2:].replace("\n> ", "\n") for entry in entries]
    script = "".join(f"{command}printf '{_END}'\n" for command in commands)
    outputs = _shell(script, folder)[1].split(_END)
    shown = ""
    for (command, expected), printed in zip(entries, outputs, strict=False):
        now = printed.rstrip("\n") + "\n" if printed.strip() else ""
        shown += command + (expected if _describes(expected, now) else now)
    return shown


def _describes(expected: str, printed: str) -> bool:
    """Whether an output is the expected one, in which `...` is any text and a hash any hash."""
    pattern = re.escape(_HASH.sub("<hash>", expected)).replace(r"\.\.\.", ".*?")
    return re.fullmatch(pattern, _HASH.sub("<hash>", printed), re.DOTALL) is not None


def _bash(script: str, folder: Path) -> str | None:
    status, output = _shell(f"set -euo pipefail\n{script}", folder)
    return f"exit status {status}\n{output}" if status else None


def _shell(script: str, folder: Path) -> tuple[int, str]:
    """Run a script in bash: exit status, and output with errors. `archdsl` and `python` are those of this checkout.

    The network is out of reach, pip does not install, and git's configuration is one of the folder.
    """
    functions = 'archdsl() { "$PYTHON" -m archdsl "$@"; }\npython() { "$PYTHON" "$@"; }\n'
    functions += 'pip() { echo "a test does not install: mark this block" >&2; return 1; }\n'
    proxy = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9")
    env = {
        **os.environ,
        **proxy,
        "PYTHON": sys.executable,
        "PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]),
        "OMP_NUM_THREADS": "1",
        "COLUMNS": "120",
        "NO_COLOR": "1",
        "PIP_NO_INDEX": "1",
        "GIT_CONFIG_GLOBAL": str(folder / ".gitconfig"),
    }
    try:
        done = subprocess.run(
            ["bash", "-c", functions + "export -f archdsl python pip\n" + script],
            cwd=folder,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            timeout=_LIMIT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return 124, f"longer than {_LIMIT_S} s"
    return done.returncode, done.stdout


# --- Python ----------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _importable(folder: Path) -> Iterator[None]:
    """Let the page import the modules that it has."""
    before = set(sys.modules)
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))
        for name in set(sys.modules) - before:
            if str(getattr(sys.modules[name], "__file__", None) or "").startswith(f"{folder}{os.sep}"):
                del sys.modules[name]


def _python(code: str, names: dict[str, Any], page: str) -> str | None:
    """Run a Python block: the traceback, or the examples with another result."""
    said = io.StringIO()
    with warnings.catch_warnings(), contextlib.redirect_stdout(said):
        warnings.simplefilter("ignore")
        if ">>> " in code:
            test = doctest.DocTestParser().get_doctest(code, {}, page, page, 0)
            test.globs = names
            runner = doctest.DocTestRunner(verbose=False, optionflags=doctest.ELLIPSIS)
            return said.getvalue() if runner.run(test, out=said.write, clear_globs=False).failed else None
        try:
            exec(compile(code, page, "exec"), names)
        except Exception:
            return traceback.format_exc(limit=-2)
    return None
