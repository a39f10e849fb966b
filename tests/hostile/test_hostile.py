"""Inputs that must not hurt: each is refused with a located diagnostic, or checked, quickly and within bounds.

Every case runs `archdsl check` in a process of its own, under limits, which tells at its end what it used.
"""

from __future__ import annotations

import os
import random
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from yaml._yaml import get_version

from archdsl.diagnostics import ArchError
from archdsl.elaborate import elaborate
from archdsl.source import decode
from archdsl.spec.find import library_files
from archdsl.spec.open import document_of, from_source

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits and /proc are Linux's")

MEMORY_MB = 300
"""Beyond what a small spec takes."""
TIME_S = 20
"""Of processor time. Measured are less than 2 s (what is large, but a network, takes longer: see `test_large`)."""
HARNESS = """
import atexit, os, resource, sys
resource.setrlimit(resource.RLIMIT_AS, (int(sys.argv[3]) << 30,) * 2)
resource.setrlimit(resource.RLIMIT_CPU, (int(sys.argv[2]), int(sys.argv[2])))
def used():
    status = open('/proc/self/status').read()
    times = resource.getrusage(resource.RUSAGE_SELF)
    text = f"{status.partition('VmHWM:')[2].split()[0]} {times.ru_utime + times.ru_stime}"
    open(sys.argv[1], 'w').write(text)
atexit.register(used)
from archdsl.cli import main
main(sys.argv[4:])
"""
COUNT_CALLS = """
import atexit, sys
calls = 0
def seen(frame, event, arg):
    global calls
    calls += event in ("call", "c_call")
def write_calls():
    sys.setprofile(None)
    open(sys.argv[1].removesuffix(".used") + ".calls", "w").write(str(calls))
atexit.register(write_calls)
sys.setprofile(seen)
"""


class Run(NamedTuple):
    status: int
    text: str
    memory_mb: float
    time_s: float


def run(
    folder: Path, *args: str, data: bytes | None = None, time_s: int = TIME_S, begin: str = "", memory_gb: int = 2
) -> Run:
    """The command line in a process with limits: its status, all it printed, and what it used. `begin` runs first."""
    report = folder / ".used"
    done = subprocess.run(
        [sys.executable, "-c", begin + HARNESS, str(report), str(time_s), str(memory_gb), *args],
        input=data,
        capture_output=True,
        timeout=5 * time_s,
        check=False,
        env={**os.environ, "COLUMNS": "100", "NO_COLOR": "1"},
    )
    memory, time = report.read_text().split() if report.exists() else ("0", "0")
    text = (done.stdout + done.stderr).decode("utf-8", "replace")
    return Run(done.returncode, text, int(memory) / 1024, float(time))


@cache
def usual() -> float:
    """What checking a small spec takes, in MB."""
    import tempfile

    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "small.yaml"
        path.write_text("input: 3x32x32\nnet: [3x3 conv 8]\n")
        return run(Path(name), "check", str(path)).memory_mb


def check(folder: Path, spec: str | bytes, status: int, *codes: str) -> Run:
    """Checks a spec and what came of it: the status, the codes, no traceback, little time and memory."""
    path = folder / "spec.yaml"
    path.write_bytes(spec if isinstance(spec, bytes) else spec.encode("utf-8", "surrogatepass"))
    return checked(run(folder, "check", str(path)), status, *codes)


def checked(done: Run, status: int, *codes: str) -> Run:
    assert "Traceback" not in done.text and "internal error" not in done.text, done.text[-2000:]
    assert done.status == status, done.text[:2000]
    found = re.findall(r"^(?:error|warning|note)\[([EWN]\d{4})\]", done.text, re.MULTILINE)
    assert tuple(dict.fromkeys(found)) == codes, done.text[:2000]
    assert done.memory_mb < usual() + MEMORY_MB
    assert len(done.text) < 200_000
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f\u202a-\u202e\u2066-\u2069]", done.text), (
        "a control character is printed"
    )
    return done


HEAD = "input: 3x32x32\n"


def net(body: str, head: str = HEAD) -> str:
    return f"{head}net:\n  {body}\n"


def bomb(levels: int, each: int) -> str:
    """Blocks that each repeat the next."""
    blocks = "".join(f"  b{n}: [{each} * b{n + 1}]\n" for n in range(levels))
    return f"{HEAD}blocks:\n{blocks}  b{levels}: [3x3 conv 8]\nnet: {{a: b0}}\n"


def merge_bomb() -> str:
    return "a0: &a0 {x: 1}\n" + "".join(f"a{n}: &a{n} {{<<: [*a{n - 1},*a{n - 1}]}}\n" for n in range(1, 27))


def alias_bomb() -> str:
    return "a0: &a0 [1,1]\n" + "".join(f"a{n}: &a{n} [*a{n - 1},*a{n - 1}]\n" for n in range(1, 40))


def nested_blocks(depth: int) -> str:
    """Blocks that call each other, each 20 composites deep."""
    inner = "{do: " * 20
    blocks = "".join(f"  b{n}: {inner}b{n + 1}{' }' * 20}\n" for n in range(depth))
    return f"{HEAD}blocks:\n{blocks}  b{depth}: [3x3 conv 8]\nnet: {{a: b0}}\n"


LOOKS_1000_DEEP = get_version() >= (0, 2, 6)
"""From this version on libyaml sees that brackets are too deep before it sees what stands in them."""

# --- Y: YAML ---------------------------------------------------------------------------------------------

YAML: dict[str, tuple[Any, int, tuple[str, ...]]] = {
    "Y1 merge keys that double": (merge_bomb, 1, ("E0104",)),
    "Y2 aliases that double": (alias_bomb, 1, ("E0105",)),
    "Y3 a million [": (lambda: "net: " + "[" * 1_000_000, 1, ("E0106",)),
    "Y4 a million {": (lambda: "net: " + "{" * 1_000_000, 1, ("E0106",) if LOOKS_1000_DEEP else ("E0112",)),
    "Y5 500,000 dashes": (lambda: "- " * 500_000, 1, ("E0106",)),
    "Y5 3,000 lists in lists": (lambda: "".join(" " * n + "-\n" for n in range(2000)), 1, ("E0106",)),
    "Y5 10,000 {a:": (lambda: "{a: " * 10_000, 1, ("E0106",)),
    "Y5 20,000 ?": (lambda: "? " * 20_000, 1, ("E0112",)),
    "Y7 duplicate keys": (net("a: 3x3 conv 8\n  a: 3x3 conv 16"), 1, ("E0102",)),
    "Y9 yes is no truth value": (net("a: 3x3 conv 8 bias=yes"), 1, ("E0304",)),
    "Y11 sexagesimal": (f"{HEAD}args: {{k: 1:30}}\nnet: [3x3 conv k]\n", 1, ("E0303",)),
    "Y11 a long sexagesimal": (lambda: f"{HEAD}args:\n  k: 1{':59' * 20_000}\nnet: [3x3 conv k]\n", 1, ("E0306",)),
    "Y12 1e-4 is a number": (net("a: 3x3 conv 8\n  b: bn eps=1e-4"), 0, ()),
    "Y13 1_000": (net("a: 3x3 conv 1_000"), 1, ("E0303",)),
    "Y15 5,000 digits": (lambda: net("a: {op: conv, kernel: 3, out: " + "9" * 5000 + "}"), 1, ("E0111",)),
    "Y15 5,000 digits in a short form": (lambda: net("a: 3x3 conv " + "9" * 5000), 1, ("E0306",)),
    "Y17 a time": (f"{HEAD}args: {{k: 25:61:61}}\nnet: [3x3 conv k]\n", 1, ("E0303",)),
    "Y19 a Python object": ("input: !!python/object/apply:os.system [id]\nnet: []\n", 1, ("E0103",)),
    "Y19 a tuple": ("input: !!python/tuple [3, 8, 8]\nnet: []\n", 1, ("E0103",)),
    "Y19 a tag of one's own": ("input: !foo 3x8x8\nnet: []\n", 1, ("E0103",)),
    "Y19 100,000 %TAG": (
        lambda: "".join(f"%TAG !a{n}! tag:x,2000:\n" for n in range(100_000)) + "---\nnet: []\n",
        1,
        ("E0103",),
    ),
    "Y21 an alias in itself": ("net: &x [*x]\n", 1, ("E0105",)),
    "Y21 an alias in itself, a mapping": ("&x\nnet: *x\n", 1, ("E0105",)),
    "Y23 a tab": ("input: 3x8x8\nnet:\n\ta: 3x3 conv 8\n", 1, ("E0101",)),
    "Y25 Latin-1": ("name: r\xe9seau\ninput: 3x8x8\n".encode("latin-1"), 1, ("E0108",)),
    "Y25 a lone mark": (b"\xff\xfe", 1, ("E0108",)),
    "Y25 UTF-16": ("input: 3x8x8\n".encode("utf-16")[:-1], 1, ("E0108",)),
    "Y27 half a surrogate pair": ('name: "a\\uD800"\ninput: 3x8x8\nnet: []\n', 1, ("E0108",)),
    "Y27 raw half of a pair": (b"name: \xed\xa0\x80\n", 1, ("E0108",)),
    "Y29 empty": ("", 1, ("E0109",)),
    "Y29 comments": ("# one\n# two\n", 1, ("E0109",)),
    "Y29 a marker": ("---\n", 1, ("E0109",)),
    "Y31 two documents": (f"{net('a: 3x3 conv 8')}---\n{net('a: 3x3 conv 8')}", 1, ("E0110",)),
    "Y33 an open bracket": (f"{HEAD}net: [3x3 conv 8\n", 1, ("E0101",)),
    "Y33 an open quote": (f'{HEAD}net: ["3x3 conv 8]\n', 1, ("E0101",)),
    "Y33 @": (f"{HEAD}net: @x\n", 1, ("E0101",)),
    "Y33 %YAML 3.0": (f"%YAML 3.0\n---\n{HEAD}net: []\n", 1, ("E0101",)),
    "Y33 a key of 2,000 characters": (lambda: net("a" * 2000 + ": 3x3 conv 8"), 1, ("E0101",)),
    "Y34 a list": ("- 3x3 conv 8\n", 1, ("E0202",)),
    "Y34 a word": ("resnet50\n", 1, ("E0202",)),
    "Y35 one line of 1 MB": (lambda: net("a: 3x3 conv " + "8 " * 500_000), 1, ("E0310",)),
    "Y35 one word of 1 MB": (lambda: net("a: " + "x" * 1_000_000), 1, ("E0306",)),
    "Y35 one comment of 3 MB": (lambda: f"# {'x' * 3_000_000}\n{net('a: 3x3 conv 8')}", 0, ()),
    "Y36 5 MB": (lambda: "#" * 5_000_000, 1, ("E0107",)),
    "Y36 too many keys": (lambda: "a: [" + "1," * 450_000 + "]\n", 1, ("E0107",)),
    "Y37 NUL": (b"net: a\x00b\n", 1, ("E0108",)),
    "Y37 an ELF file": (b"\x7fELF\x02\x01\x01" + bytes(200), 1, ("E0108",)),
    "Y37 a PNG": (b"\x89PNG\r\n\x1a\n" + bytes(range(256)), 1, ("E0108",)),
    "Y37 a gzip file": (b"\x1f\x8b\x08\x00" + bytes(range(256)), 1, ("E0108",)),
    "Y38 a thousand anchors": (
        lambda: "".join(f"a{n}: &n{n} x\n" for n in range(1000)) + net("a: 3x3 conv 8"),
        1,
        ("E0201",),
    ),
}

# --- L: the language -------------------------------------------------------------------------------------

LANGUAGE: dict[str, tuple[Any, int, tuple[str, ...]]] = {
    "L1 an unknown kind": (net("a: 3x3 conv2 8"), 1, ("E0301",)),
    "L2 an unknown key": (net("a: {op: conv, out: 8, kernal: 3}"), 1, ("E0309",)),
    "L3 a truth value for a number": (net("a: {op: conv, out: 8, kernel: true}"), 1, ("E0308",)),
    "L3 a text for a number": (net("a: {op: conv, out: '8', kernel: 3.0}"), 1, ("E0315",)),
    "L5 a loop of one": (net("a: add <- input, a"), 1, ("E0411",)),
    "L5 a loop of two": (net("a: add <- input, b\n  b: add <- a, input"), 1, ("E0411",)),
    "L5 a loop of three": (net("a: add <- input, b\n  b: add <- c, input\n  c: add <- a, b"), 1, ("E0411",)),
    "L7 a path twice": (net("a: {inception: [{c: 1x1 conv 8}, {c: 1x1 conv 8}]}"), 1, ("E0503",)),
    "L8 code in a name": (net("\"x; import os; os.system('id')\": 3x3 conv 8"), 1, ("E0501",)),
    "L8 a quote in a name": (net("'x\"]': 3x3 conv 8"), 1, ("E0501",)),
    "L8 a line feed in a name": (net('"a\\nb": 3x3 conv 8'), 1, ("E0501",)),
    "L8 braces in a name": (net("'{x}': 3x3 conv 8"), 1, ("E0501",)),
    "L9 forward": (net("forward: 3x3 conv 8\n  train: 3x3 conv 8\n  type: relu\n  half: relu"), 1, ("E0502",)),
    "L9 __class__": (net("__class__: 3x3 conv 8"), 1, ("E0502",)),
    "L9 a dot": (net("a.b: 3x3 conv 8\n  a b: relu\n  1x: relu\n  a;b: relu"), 1, ("E0501",)),
    "L9 an empty name": (net("'': 3x3 conv 8"), 1, ("E0112",)),
    "L9 a keyword": (net("class: 3x3 conv 8"), 1, ("E0502",)),
    "L11 a ligature": (net("\ufb01: 3x3 conv 8"), 1, ("E0501",)),
    "L11 fullwidth letters": (net("\uff43onv: 3x3 conv 8"), 1, ("E0501",)),
    "L11 a Cyrillic a in an argument": (f"{HEAD}args: {{\u0430: 8}}\nnet: [3x3 conv 8]\n", 1, ("E0501",)),
    "L11 Arabic digits": (net("a: 3x3 conv \u0661\u0662"), 1, ("E0303",)),
    "L13 a path as a name": (f"name: ../../etc/passwd\n{net('a: 3x3 conv 8')}", 1, ("E0501",)),
    "L13 a name of 300 characters": (lambda: f"name: {'a' * 300}\n{net('a: 3x3 conv 8')}", 1, ("E0501",)),
    "L13 a node's name of 300 characters": (lambda: net("a" * 300 + ": 3x3 conv 8"), 1, ("E0501",)),
    "L13 paths that grow": (
        lambda: (
            HEAD
            + "net:\n"
            + "".join("  " * n + " " + "a" * 99 + ":\n" for n in range(1, 60))
            + " " * 130
            + "9 * 3x3 conv 8\n"
        ),
        1,
        ("E0501",),
    ),
    "L19 powers": (net("a: 3x3 conv 9**9**9"), 1, ("E0306",)),
    "L19 a shift": (net("a: 3x3 conv 1<<10**10"), 1, ("E0303",)),
    "L19 products": (lambda: net("a: 3x3 conv " + "*".join(["9999999"] * 200)), 1, ("E0306",)),
    "L19 a repeated text": (net("a: 3x3 conv 'a'*10"), 1, ("E0303",)),
    "L19 a repeated list": (f"{HEAD}args: {{n: [1, 2]}}\nnet:\n  - 3x3 conv n*1000000000\n", 1, ("E0305",)),
    "L19 an f-string": (net("a: 3x3 conv f'{1:1000000000}'"), 1, ("E0303",)),
    "L19 a million parentheses": (lambda: net("a: 3x3 conv " + "(" * 1_000_000 + "1" + ")" * 1_000_000), 1, ("E0306",)),
    "L19 900 parentheses": (lambda: net("a: 3x3 conv " + "(" * 900 + "1" + ")" * 900), 1, ("E0306",)),
    "L19 900 minus signs": (lambda: net("a: 3x3 conv " + "-" * 900 + "1"), 1, ("E0306",)),
    "L19 900 nots": (lambda: net("a: 3x3 conv 8 when " + "not " * 400 + "true"), 1, ("E0306",)),
    "L19 an expression of 1 MB": (lambda: net("a: 3x3 conv " + "1+" * 500_000 + "1"), 1, ("E0306",)),
    "L21 attributes": (f"{HEAD}args: {{n: 3}}\nnet: [3x3 conv n.__class__.__mro__]\n", 1, ("E0303",)),
    "L21 lambda": (net("a: 3x3 conv (lambda:8)()"), 1, ("E0303",)),
    "L21 a call": (net("a: 3x3 conv open(8)"), 1, ("E0303",)),
    "L21 import": (net("a: 3x3 conv __import__(8)"), 1, ("E0303",)),
    "L21 walrus": (net("a: 3x3 conv (x:=8)"), 1, ("E0303",)),
    "L21 a comprehension": (net("a: 3x3 conv [i for i in x]"), 1, ("E0303",)),
    "L23 a division by zero": (net("a: 3x3 conv 8//0\n  b: 3x3 conv 8%0"), 1, ("E0305",)),
    "L23 a fraction": (net("a: 3x3 conv 7/2"), 1, ("E0315",)),
    "L25 recursion": (f"{HEAD}blocks:\n  f(w): {{a: 3x3 conv w, b: f(w)}}\nnet: {{a: f(8)}}\n", 1, ("E0211",)),
    "L25 recursion that grows": (
        f"{HEAD}blocks:\n  f(w): {{a: f(2*w), b: f(2*w+1)}}\nnet: {{a: f(8)}}\n",
        1,
        ("E0211",),
    ),
    "L25 recursion of two": (f"{HEAD}blocks:\n  f: {{a: g}}\n  g: {{a: f}}\nnet: {{a: f}}\n", 1, ("E0211",)),
    "L25 recursion by an argument": (
        f"{HEAD}args: {{b: f}}\nblocks:\n  f(c=b): {{x: 3x3 conv 8, y: c}}\nnet: {{a: f}}\n",
        1,
        ("E0211",),
    ),
    "L25 recursion by an argument handed on": (
        f"{HEAD}blocks:\n  f(c): {{x: c(c)}}\n  g(c): {{x: c(c)}}\nnet: {{a: f(g)}}\n",
        1,
        ("E0211",),
    ),
    "L27 escapes in a name": (net('"\\e[31mred\\e[0m": 3x3 conv 8'), 1, ("E0108",)),
    "L27 escapes in a value": (f'name: "\\x1b]0;title\\x07"\n{net("a: 3x3 conv 8")}', 1, ("E0108",)),
    "L27 raw escapes": (net("\x1b[31mred: 3x3 conv 8"), 1, ("E0108",)),
    "L27 right to left": (net("'a\u202eb': 3x3 conv 8"), 1, ("E0501",)),
    "L27 an isolate": (net("a: 3x3 c\u2066onv 8"), 1, ("E0301",)),
    "L27 zero width": (net("a: 3x3 conv\u200b 8"), 1, ("E0301",)),
    "L29 a count of 10^9": (net("a: 1000000000 * 3x3 conv 8"), 1, ("E0314",)),
    "L29 a count of 2^63": (net("a: 9223372036854775808 * 3x3 conv 8"), 1, ("E0306",)),
    "L29 ten blocks of a thousand": (lambda: bomb(10, 1000), 1, ("E0314",)),
    "L29 25 blocks of two": (lambda: bomb(25, 2), 1, ("E0314",)),
    "L29 60 blocks of one": (lambda: bomb(60, 1), 1, ("E0316",)),
    "L29 copies of nothing": (net("a: 1000000000 * 3x3 conv 8 when false"), 1, ("E0314",)),
    "L29 copies of copies of nothing": (
        net("a: {repeat: 1000, do: [{repeat: 1000, do: [1000 * 3x3 conv 8 when false]}]}"),
        1,
        ("E0314",),
    ),
    "L29 a repeat that looks at its copy": (net("a: relu\n  b: 200000 * 3x3 conv 8*(i+1) when i > 200000"), 0, ()),
    "L29 a split into many": (
        lambda: net("\n  ".join(f"s{n}: split 4096 <- input" for n in range(100)), "input: 4096x1x1\n"),
        1,
        ("E0314",),
    ),
    "L29 nothing is left": (net("a: 3x3 conv 8 when false"), 1, ("E0422",)),
    "L31 composites 60 deep": (lambda: net("a: " + "{do: " * 61 + "3x3 conv 8" + " }" * 61), 1, ("E0316",)),
    "L31 blocks 1,000 deep": (lambda: nested_blocks(1000), 1, ("E0316",)),
    "L33 a thousand wrong arguments": (
        lambda: HEAD + "args:\n" + "".join(f"  a{n}: b{n}\n" for n in range(1000)) + "net: [relu]\n",
        1,
        ("E0304",),
    ),
    "L33 a thousand counts of channels": (
        lambda: net("\n  ".join(f"a{n}: in * relu" for n in range(1000))),
        1,
        ("E0313",),
    ),
    "L33 a thousand heads": (
        lambda: net("a: relu") + "aux:\n" + "".join(f"  h{n}: {{from: a, do: [1000 * relu]}}\n" for n in range(1000)),
        1,
        ("E0314",),
    ),
    "L33 5,000 unknown kinds": (lambda: net("\n  ".join(f"a{n}: 3x3 cnov 8" for n in range(5000))), 1, ("E0301",)),
    "L33 5,000 unknown names": (
        lambda: net("\n  ".join(f"a{n}: 3x3 conv widht{n}" for n in range(5000))),
        1,
        ("E0304",),
    ),
    "L33 an unknown name in many copies": (net("a: 100000 * 3x3 conv widht"), 1, ("E0304",)),
    "L33 many names to compare with": (
        lambda: (
            HEAD
            + "args: {"
            + ", ".join(f"abcdefgh{n}: 1" for n in range(9000))
            + "}\nnet:\n  "
            + "\n  ".join(f"a{n}: 3x3 conv abcdefg{n}x" for n in range(150))
            + "\n"
        ),
        1,
        ("E0304",),
    ),
    "L33 5,000 nodes that nothing reads": (
        lambda: net("\n  ".join(f"a{n}: relu <- input" for n in range(5000))),
        0,
        ("W0901",),
    ),
    "L35 sums of long lists in many copies": (
        lambda: HEAD + f"args: {{n: [{'1, ' * 9000}1]}}\nnet: {{a: 20000 * 3x3 conv {'+'.join(['sum(n)'] * 200)}}}\n",
        1,
        ("E0314",),
    ),
    "L35 a long list handed to many copies": (
        lambda: (
            HEAD
            + f"args: {{n: [{'1, ' * 9000}1]}}\nblocks:\n  f(r, k):\n    c: 3x3 conv r[0]+k*0\nnet:\n  a: 2000 * f(n,"
            " i)\n"
        ),
        0,
        (),
    ),
    "L35 many that are left out": (
        lambda: (
            f"{HEAD}blocks:\n  f:\n    r: relu\n"
            + "".join(f"    a{n}: relu when false\n" for n in range(1000))
            + "net: {a: 100000 * f}\n"
        ),
        1,
        ("E0314",),
    ),
    "L35 many references in many copies": (
        lambda: f"{HEAD}blocks:\n  f:\n    a: add <- {', '.join(['input'] * 50_000)}\nnet: {{a: 10000 * f}}\n",
        1,
        ("E0314",),
    ),
    "L37 a thousand variants": (
        lambda: net("a: 3x3 conv 8") + "variants:\n" + "".join(f"  v{n}: {{doc: x}}\n" for n in range(1000)),
        1,
        ("E0107",),
    ),
}

# --- N: numbers and shapes -------------------------------------------------------------------------------

NUMBERS: dict[str, tuple[Any, int, tuple[str, ...]]] = {
    "N1 a kernel larger than its input": (net("a: 40x40 conv 8"), 1, ("E0402",)),
    "N3 -1 channels": (net("a: 3x3 conv -1"), 1, ("E0308",)),
    "N3 2^31 channels": (net("a: 3x3 conv 2147483648"), 1, ("E0308",)),
    "N3 2^63 channels": (net("a: 3x3 conv 9223372036854775808"), 1, ("E0306",)),
    "N3 a large input": ("input: 3x99999999999x3\nnet: [3x3 conv 8]\n", 1, ("E0308",)),
    "N3 an empty input": ("input: 3x0x3\nnet: [3x3 conv 8]\n", 1, ("E0308",)),
    "N3 2^31-1 everywhere": ("input: 2147483647x2147483647x2147483647\nnet: [relu, relu]\n", 1, ("E0306",)),
    "N5 groups": (net("a: 3x3 conv 16 groups=4"), 1, ("E0403",)),
    "N5 prime channels in many copies": (
        "input: 2147483647x1x1\nnet: [100000 * 1x1 conv 2147483647 groups=2]\n",
        1,
        ("E0403",),
    ),
    "N7 a window in the padding": (net("a: 2x2 maxpool pad=2"), 1, ("E0416",)),
    "N7 a dilated window in the padding": (net("a: 2x2 maxpool /1 pad=40 dilation=40"), 1, ("E0416",)),
    "N7 two billion pixels of padding": (net("a: 3x3 maxpool /1 pad=2000000000"), 1, ("E0416",)),
    "N7 two billion taps": (
        (
            "input: 1x1x2147483647\nnet: [{op: maxpool, kernel: [1, 1000000], stride: 1, dilation: [1, 2], pad:"
            " 1000000}]\n"
        ),
        1,
        ("E0416",),
    ),
    "N9 add does not broadcast": (net("a: 3x3 conv 8\n  g: gap\n  s: add <- a, g"), 1, ("E0412",)),
    "N11 fc after any size": (net("a: 3x3 conv 8\n  f: fc 10", "input: 3x777x333\n"), 0, ()),
    "N13 10^12 parameters": (net("f: fc 1000000\n  g: fc 1000000"), 0, ()),
    "N15 a norm of one value": (net("g: gap\n  n: gn 3"), 1, ("E0417",)),
    "N17 too much output padding": (net("a: 3x3 deconv 8 /2 pad=1 extra=2"), 1, ("E0406",)),
    "N17 a shuffle that does not divide": (net("a: shuffle 2"), 1, ("E0403",)),
    "N19 a stride of 2^62": (net("a: 3x3 conv 8 /4611686018427387904"), 1, ("E0308",)),
    "N19 a stride of 2^31-1": (net("a: 3x3 conv 8 /2147483647"), 0, ()),
    "N21 20,000 strides": (net("a: 20000 * 3x3 conv 8 /2"), 0, ()),
    "N21 a thousand enlargements": (net("a: 1000 * upsample 2"), 1, ("E0306",)),
    "N21 enlarged and cropped": (
        'input: 3x8x8\nnet:\n  - {repeat: 500, do: [upsample 2, "pad [-4,-4,-4,-4]"]}\n',
        0,
        (),
    ),
    "N21 a fixed weight for a billion filters": (
        "input: 1000x8x8\nnet:\n  - 1x1 conv 1000000 weight=[[[1]]]\n  - - 1x1 conv 1000000 weight=[[1]]\n",
        1,
        ("E0404",),
    ),
    "N23 many pairs of sizes that must agree": (
        (
            "input: 1x60000x60000\nblocks:\n  f <- x:\n    a: 2x2 maxpool /2 ceil <- x\n    b: 2x2 maxpool /2"
            " pad=[0,0,1,1] <- x\n    c: concat <- a, b\n    t: pad [-1,-1,-1,-1] <- x\nnet: {a: 500 * f}\n"
        ),
        0,
        ("W0901",),
    ),
    "N23 a hundred inputs": (
        lambda: (
            "input: {"
            + ", ".join(f"x{n}: 3x8x8" for n in range(100))
            + "}\nnet:\n  "
            + "\n  ".join(f"f{n}: fc 4 <- x{n}" for n in range(100))
            + f"\n  s: add <- {', '.join(f'f{n}' for n in range(100))}\n"
        ),
        0,
        (),
    ),
}


def cases() -> Iterator[Any]:
    for group in (YAML, LANGUAGE, NUMBERS):
        for name, case in group.items():
            yield pytest.param(*case, id=name.replace(" ", "-"))


@pytest.mark.parametrize(("spec", "status", "codes"), [*cases()])
def test_refused_or_checked(spec: Any, status: int, codes: tuple[str, ...], tmp_path: Path) -> None:
    done = check(tmp_path, spec() if callable(spec) else spec, status, *codes)
    if status == 1:
        assert f"--> {tmp_path}/spec.yaml:" in done.text or codes == ("E0107",), "the diagnostic is not located"


# --- F: files --------------------------------------------------------------------------------------------


def test_a_directory(tmp_path: Path) -> None:
    (tmp_path / "folder.yaml").mkdir()
    checked(run(tmp_path, "params", str(tmp_path / "folder.yaml")), 2, "E0114")


def test_a_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    checked(run(tmp_path, "check", str(tmp_path / "pipe.yaml")), 2, "E0114")


def test_a_socket(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        here = Path.cwd()
        os.chdir(tmp_path)  # a socket's path has at most 107 characters
        try:
            server.bind("socket.yaml")
        finally:
            os.chdir(here)
        checked(run(tmp_path, "check", str(tmp_path / "socket.yaml")), 2, "E0114")


@pytest.mark.parametrize("device", ["/dev/zero", "/dev/tty", "/dev/null"])
def test_a_device(device: str, tmp_path: Path) -> None:
    checked(run(tmp_path, "check", device), 2, "E0114")


@pytest.mark.parametrize(
    "name", ["missing.yaml", "no/such/folder.yaml", "a" * 300 + ".yaml", "a" * 5000 + ".yaml", "../" * 2000 + "x.yaml"]
)
def test_a_file_that_is_not_there(name: str, tmp_path: Path) -> None:
    checked(run(tmp_path, "check", str(tmp_path / name)), 2, "E0114")


@pytest.mark.parametrize("name", ["resnet", "resnet5O", "..", "RESNET50 ", "a\x1b[31m", "x" * 5000, "%s%n", "'; ls"])
def test_a_name_that_nobody_bears(name: str, tmp_path: Path) -> None:
    done = run(tmp_path, "params", name)
    assert done.status == 2
    assert "Traceback" not in done.text and "\x1b" not in done.text


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "E0109"),
        (bytes(1000), "E0108"),
        (b"\xff" * 1000, "E0108"),
        (b"[" * 300_000, "E0106"),
        (b"{}", "E0203"),
        (b"\n" * 1000, "E0109"),
    ],
    ids=["empty", "nul", "0xff", "brackets", "braces", "newlines"],
)
def test_garbage_on_standard_input(data: bytes, code: str, tmp_path: Path) -> None:
    checked(run(tmp_path, "check", "-", data=data), 1, code)


def test_standard_input_without_end(tmp_path: Path) -> None:
    checked(run(tmp_path, "check", "-", data=b"#" * 9_000_000), 1, "E0107")


def extending(folder: Path, name: str) -> Run:
    (folder / "below").mkdir(exist_ok=True)
    (folder / "secret.yaml").write_text("password: hunter2\n")
    path = folder / "below" / "spec.yaml"
    path.write_text(f'extends: "{name}"\nargs: {{classes: 10}}\n')
    return run(folder, "check", str(path))


@pytest.mark.parametrize(
    "name",
    [
        "../secret.yaml",
        "../../etc/passwd",
        "/etc/passwd",
        "below/../../secret.yaml",
        "link.yaml",
        "folder/secret.yaml",
        "-",
    ],
)
def test_extends_stays_inside(name: str, tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    (tmp_path / "below" / "link.yaml").symlink_to(tmp_path / "secret.yaml")
    (tmp_path / "below" / "folder").symlink_to(tmp_path)
    done = checked(extending(tmp_path, name), 1, "E0207")
    assert "hunter2" not in done.text and "root:" not in done.text


@pytest.mark.parametrize(
    "name", ["missing.yaml", "file:///etc/passwd", "pipe.yaml", "folder.yaml", "x" * 5000 + ".yaml"]
)
def test_extends_needs_a_file(name: str, tmp_path: Path) -> None:
    (tmp_path / "below" / "folder.yaml").mkdir(parents=True)
    os.mkfifo(tmp_path / "below" / "pipe.yaml")
    done = extending(tmp_path, name)
    checked(done, 1, "E0114" if "E0114" in done.text else "E0207")


def test_extends_in_a_circle(tmp_path: Path) -> None:
    for n in range(3):
        (tmp_path / f"s{n}.yaml").write_text(f"extends: s{(n + 1) % 3}.yaml\n")
    checked(run(tmp_path, "check", str(tmp_path / "s0.yaml")), 1, "E0206")


def test_extends_without_end(tmp_path: Path) -> None:
    for n in range(100):
        (tmp_path / f"s{n}.yaml").write_text(f"extends: s{n + 1}.yaml\n")
    checked(run(tmp_path, "check", str(tmp_path / "s0.yaml")), 1, "E0206")


@pytest.mark.parametrize(
    "name", ["../labels.txt", "/etc/passwd", "link.txt", "pipe.txt", "folder", "missing.txt", "a" * 5000, "."]
)
def test_labels_stay_inside(name: str, tmp_path: Path) -> None:
    below = tmp_path / "below"
    (below / "folder").mkdir(parents=True)
    (tmp_path / "labels.txt").write_text("hunter2\n")
    (below / "link.txt").symlink_to(tmp_path / "labels.txt")
    os.mkfifo(below / "pipe.txt")
    path = below / "spec.yaml"
    path.write_text(f'{HEAD}net: [gap, fc 2]\nlabels: "{name}"\n')
    done = checked(run(tmp_path, "check", str(path)), 1, "E0207")
    assert "hunter2" not in done.text


@pytest.mark.parametrize(
    ("data", "code"), [(b"\xff\xfe", "E0114"), (b"cat\x1b[31m\ndog\n", "E0108"), (b"x\n" * 600_000, "E0107")]
)
def test_labels_are_a_small_text(data: bytes, code: str, tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_bytes(data)
    check(tmp_path, f"{HEAD}net: [gap, fc 2]\nlabels: labels.txt\n", 1, code)


# --- large, but a network --------------------------------------------------------------------------------

LARGE = {
    "repeats": lambda n: f"input: 3x32x32\nnet: [{n} * 3x3 conv 8]\n",
    "residuals": lambda n: (
        "input: 8x32x32\ndefaults: {conv: bn relu}\nblocks:\n  basic(w, s=1):\n    residual: {c1: 3x3 conv w /s,"
        f" c2: 3x3 conv w linear}}\n    then: relu\nnet:\n  l: {n // 7} * basic(8, 1 if i else 1)\n"
    ),
    "a list": lambda n: "input: 3x32x32\nnet:\n" + "".join(f"  - 3x3 conv {8 + k % 3}\n" for k in range(n)),
    "skips": lambda n: (
        "input: 8x32x32\nnet:\n  c0: 3x3 conv 8\n"
        + "".join(f"  c{k}: add <- c{k - 1}, c{max(0, k - 2)}\n" for k in range(1, n))
    ),
    "dense": lambda n: f"input: 3x8x8\nblocks: {{layer: {{c: 1x1 conv 1}}}}\nnet:\n  d: dense {n // 2} * layer\n",
}


@pytest.mark.parametrize("kind", LARGE)
def test_ten_times_the_nodes_take_ten_times_the_calls(kind: str, tmp_path: Path) -> None:
    """Calls of functions, Python's and C's, with those of a small spec taken off: unlike a time, the same in every run.
    What a single call takes is `benchmarks/scale.py`'s."""
    calls = []
    for size in (8, 2_000, 20_000):
        (tmp_path / "spec.yaml").write_text(LARGE[kind](size))
        done = run(tmp_path, "check", str(tmp_path / "spec.yaml"), time_s=120, begin=COUNT_CALLS)
        assert done.status == 0, done.text[:1000]
        assert done.memory_mb < usual() + MEMORY_MB
        calls.append(int((tmp_path / ".calls").read_text()))
    small, large = (n - calls[0] for n in calls[1:])
    assert small > 10_000
    assert large < 11 * small


# --- mutations -------------------------------------------------------------------------------------------

WORDS = re.compile(r"[A-Za-z_]\w*|\d+|[^\w\s]|\s+")
JUNK = (
    "\t \0 \u200b \ufb01 \x1b[31m { } [ ] ( ) * &a *a <<: !!x | > ' \" @ % ` -1 0 99999999999999999999 1e309 .5 3.0 in"
    " i first when as <- dense null ~ true 2**3 /0 %2 input 0x10 1_000 \u0661\u0662 \u2028 \r op: do: residual:"
    " branches: split: merge: shortcut: then: from: extends: variants: labels: ..."
).split(" ")
NUMBERS_TO_TRY = ("0", "1", "2", "3", "7", "64", "1000", "65536", "2147483648", "-1", "0.5", "n[0]", "in", "w")


def mutated(text: str, rng: random.Random) -> bytes:
    """A spec with one to three slips, of bytes, words, lines or numbers."""
    for _ in range(rng.choice((1, 1, 1, 2, 2, 3))):
        text = rng.choice(
            (
                _other_byte,
                _other_word,
                _no_word,
                _junk,
                _other_line,
                _no_line,
                _other_indentation,
                _other_number,
                _other_number,
            )
        )(text, rng)
    return text.encode("utf-8", "replace")


def _other_byte(text: str, rng: random.Random) -> str:
    data = bytearray(text.encode("utf-8", "replace"))
    if data:
        data[rng.randrange(len(data))] = rng.randrange(256)
    return data.decode("utf-8", "replace")


def _other_word(text: str, rng: random.Random) -> str:
    words = WORDS.findall(text) or [""]
    words[rng.randrange(len(words))] = rng.choice(words)
    return "".join(words)


def _no_word(text: str, rng: random.Random) -> str:
    words = WORDS.findall(text) or [""]
    del words[rng.randrange(len(words))]
    return "".join(words)


def _junk(text: str, rng: random.Random) -> str:
    at = rng.randrange(len(text) + 1)
    return text[:at] + rng.choice(JUNK) + text[at:]


def _other_line(text: str, rng: random.Random) -> str:
    lines = text.splitlines(True) or [""]
    lines.insert(rng.randrange(len(lines)), rng.choice(lines))
    return "".join(lines)


def _no_line(text: str, rng: random.Random) -> str:
    lines = text.splitlines(True) or [""]
    del lines[rng.randrange(len(lines))]
    return "".join(lines)


def _other_indentation(text: str, rng: random.Random) -> str:
    lines = text.splitlines(True) or [""]
    at = rng.randrange(len(lines))
    lines[at] = " " * rng.randrange(6) + lines[at].lstrip(" ")
    return "".join(lines)


def _other_number(text: str, rng: random.Random) -> str:
    numbers = list(re.finditer(r"\d+", text))
    if not numbers:
        return text
    chosen = rng.choice(numbers)
    return text[: chosen.start()] + rng.choice(NUMBERS_TO_TRY) + text[chosen.end() :]


def attempt(data: bytes) -> bool:
    """Whether the spec is fine; it, and its first variant, may only ever fail with an ArchError that says something."""
    try:
        source = decode(data, "mutated.yaml")
        document = document_of(from_source(source))
        elaborate(document)
        for variant in document.variants[:1]:
            elaborate(document_of(from_source(source, variant)))
    except ArchError as problem:
        assert problem.diagnostics
        assert str(problem)
        assert any(d.severity == "error" for d in problem.diagnostics)
        return False
    return True


@pytest.mark.parametrize("seed", range(300))
def test_slips_of_the_keyboard_are_told(seed: int) -> None:
    rng = random.Random(seed)
    files = library_files()
    attempt(mutated(files[seed % len(files)].read_text(encoding="utf-8"), rng))


def test_the_unchanged_specs_are_fine() -> None:
    assert all(attempt(path.read_bytes()) for path in library_files())
