"""`archdsl.solve` against brute force, and what it says.

Tests `planning/solve.py`, `planning/solution.py`, `planning/budgets.py` and `cli/solve.py`.
"""

from __future__ import annotations

import json
import random
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import archdsl
from archdsl.cli import main

NET = """\
name: random
input: 3x{size}x{size}
args: {{n: 2, w: 8, k: 1}}
defaults: {{conv: bn relu}}
blocks:
  unit(c, s=1):
    residual:
      conv1: 3x3 conv {inner} /s
      conv2: 3x3 conv c linear
    then: relu
net:
  stem: 3x3 conv {stem}
  body: n * unit({width}, {stride} if first else 1)
  more: 1x1 conv {more} {when}
  pool: gap
  fc: fc {classes}
"""
FIGURES = {"params": "params", "macs": "macs", "depth": "depth", "peak": "peak_memory_bytes"}


def random_spec(rng: random.Random) -> str:
    """A small residual network whose figures do not all grow with its arguments.

    A shortcut needs no projection at equal widths, a node can be left out, and `64//k` falls.
    """
    return NET.format(
        size=rng.choice((8, 12)),
        inner=rng.choice(("c", "c//2", "64//k", "c*k")),
        stem=rng.choice(("8", "16", "w", "w+k")),
        width=rng.choice(("w", "2*w", "16", "w*k")),
        stride=rng.choice((1, 2)),
        more=rng.choice(("w", "4*w", "64//k", "8*n")),
        when=rng.choice(("", "when n > 2", "when k != 2", "when w < 16")),
        classes=rng.choice((2, 10)),
    )


def counted(text: str, over: dict[str, list[int]]) -> list[dict[str, Any]]:
    """All settings with their figures, from networks that are loaded one by one."""
    out = []
    for values in product(*over.values()):
        args: dict[str, Any] = dict(zip(over, values, strict=True))
        try:
            net = archdsl.loads(text, **args)
        except archdsl.ArchError:
            continue
        totals = net.totals._asdict()
        out.append({"args": args, **{name: totals[field] for name, field in FIGURES.items()}})
    return out


@pytest.mark.parametrize("seed", range(50))
def test_no_setting_is_better(seed: int, tmp_path: Path) -> None:
    rng = random.Random(seed)
    text = random_spec(rng)
    (tmp_path / "net.yaml").write_text(text)
    over = {"n": [1, 2, 3], "w": [4, 8, 16, 20], "k": [1, 2, 3]}
    for name in rng.sample(list(over), rng.randint(0, 1)):
        del over[name]
    rows = counted(text, over)
    goal, limited = rng.choice(list(FIGURES)), rng.sample(list(FIGURES), rng.randint(1, 2))
    budgets = {name: sorted(row[name] for row in rows)[rng.randrange(len(rows))] for name in limited}
    allowed = [row for row in rows if all(row[name] <= most for name, most in budgets.items())]
    try:
        solution = archdsl.solve(tmp_path / "net.yaml", over=over, budgets=budgets, maximise=goal)
    except archdsl.ArchError as problem:
        assert problem.diagnostics[0].code == ("E0916" if allowed else "E0915")
        assert allowed == [] or len({tuple(row[name] for name in FIGURES) for row in rows}) < len(rows)
        return
    best = max(row[goal] for row in allowed)
    winners = [row for row in allowed if row[goal] == best]
    figures = solution.figures
    found = {name: getattr(figures, field) for name, field in FIGURES.items()}
    assert found[goal] == best
    assert all(found[name] <= most for name, most in budgets.items())
    assert (found["macs"], found["params"]) == min((row["macs"], row["params"]) for row in winners)
    assert solution.method.name == "exhaustive" and solution.ties == len(winners) - 1
    better = [row[goal] for row in rows if row[goal] > best]
    assert (solution.next is None) == (not better)
    if solution.next is not None and solution.next.figures is not None:
        assert getattr(solution.next.figures, FIGURES[goal]) == min(better)
        assert solution.next.reasons


GROWING = """\
name: growing
input: 3x16x16
args: {n: 2, w: 8}
net:
  stem: 3x3 conv 4
  body: n * 3x3 conv w
  pool: gap
  fc: fc 10
"""


@pytest.mark.parametrize("seed", range(5))
def test_a_monotone_search_finds_the_same(seed: int, tmp_path: Path) -> None:
    rng = random.Random(seed)
    path = tmp_path / "growing.yaml"
    path.write_text(GROWING)
    over = {"n": range(1, 8), "w": range(4, 64)}
    budgets = {"params": rng.randint(2_000, 60_000), "macs": rng.randint(200_000, 8_000_000)}
    goal = rng.choice(("params", "macs", "depth"))
    proved = archdsl.solve(path, over=over, budgets=budgets, maximise=goal)
    searched = archdsl.solve(path, over=over, budgets=budgets, maximise=goal, limit=300)
    assert searched.method.name == "monotone" and searched.method.counted < 300
    assert (searched.args, searched.figures) == (proved.args, proved.figures)
    assert "not proved" in str(searched.method)


def run(*args: object) -> Any:
    return CliRunner().invoke(main, [str(arg) for arg in args])


def test_the_result_is_a_spec_with_the_same_figures(tmp_path: Path) -> None:
    base, mine = tmp_path / "growing.yaml", tmp_path / "mine.yaml"
    base.write_text(GROWING)
    budget = ("--params", "<=9k", "--maximise", "depth")
    result = run("solve", base, "--over", "n=1..6,w", *budget, "--format", "json", "-o", mine)
    assert result.exit_code == 0, result.stderr
    data = json.loads(result.stdout)
    net = archdsl.load(mine)
    assert mine.read_text().startswith("extends: growing.yaml\n")
    assert net.params == data["figures"]["params"] <= 9_000
    assert net.totals.depth == data["figures"]["depth"]
    assert run("solve", base, "--over", "n=1..6", *budget, "-o", base).exit_code == 2, "never replaces what it reads"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--over", "m", "--params", "1M"], ["E0212", "known: n, w"]),
        (["--over", "n", "--params", "5MB"], ["E0912", "is in bytes"]),
        (["--over", "n", "--params", "<=5"], ["E0915", "`params <= 5` binds", "closest: n=1"]),
        (["--over", "n"], ["E0003", "no budget"]),
        (["--params", "5M"], ["E0003"]),
        (["--over", "n=4..1", "--params", "1M"], ["E0914"]),
        (["--over", "n=1..1000000000", "--params", "1M"], ["E0911", "1,000,000,000"]),
        (["--over", "n", "--params", "<=M"], ["E0912"]),
        (["--over", "n", "--params", "1M", "--where", "parms > 3"], ["E0304", "did you mean `params`?"]),
        (["--over", "n=1,2", "--over", "n=3", "--params", "1M"], ["E0914", "set twice"]),
        (["--over", "n=1,2", "-a", "n=3", "--params", "1M"], ["E0003", "set and searched"]),
        (["--over", "n=1..9", "--params", "<=5k", "--params", ">=9k"], ["E0915", "closest"]),
        (["--over", "n", "--params", "1M", "--where", "params > 2M"], ["`params > 2M` binds", "change this condition"]),
        (["--over", "n", "--params", "1M", "-o", "below/mine.yaml"], ["E0207", "in its own folder and below"]),
        (["--over", "n", "--params", "1M", "-o", "mine.txt"], ["E0001", ".yaml"]),
        (["--over", "n", "--peak", "200"], ["E0912", "no unit"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_requests(options: list[str], words: list[str], tmp_path: Path) -> None:
    (tmp_path / "growing.yaml").write_text(GROWING)
    more = [] if "E0003" in words and "--over" not in options else ["--maximise", "depth"]
    result = run("solve", tmp_path / "growing.yaml", *options, *more)
    assert result.exit_code in (1, 2)
    assert all(word in result.stderr for word in words), result.stderr


def test_a_band_of_one_figure_and_a_condition_on_an_argument(tmp_path: Path) -> None:
    path = tmp_path / "growing.yaml"
    path.write_text(GROWING)
    rows = {n: archdsl.load(path, n=n).params for n in range(1, 9)}
    low, high = rows[3], rows[6]
    best = archdsl.solve(path, over="n=1..8", budgets={"params": [f">={low}", high]}, maximise="depth")
    assert best.args["n"] == 6 and [str(b) for b in best.budgets] == [f"params >= {low}", f"params <= {high}"]
    result = run("solve", path, "--over", "n=1..8", "--where", "n < 6", "--where", "n != 5", "--maximise", "params")
    assert "n=4" in result.stdout.splitlines()[0]


def test_what_comes_closest_misses_the_others_by_least(tmp_path: Path) -> None:
    path = tmp_path / "growing.yaml"
    path.write_text(GROWING)
    with pytest.raises(archdsl.ArchError, match="E0915") as caught:
        archdsl.solve(path, over="w=8..64/8", budgets={"params": "<=2k", "depth": ">=1000"}, maximise="macs")
    row = {w: archdsl.load(path, w=w).params for w in (8, 16)}
    fitting = "w=16" if row[16] <= 2000 else "w=8"
    assert f"closest: {fitting}:" in str(caught.value)


def test_a_field_of_the_whole_input_is_no_number_in_json(tmp_path: Path) -> None:
    path = tmp_path / "gate.yaml"
    path.write_text(
        "input: 1x16x16\nargs: {w: 8}\nblocks:\n  gate: {g: [gap, 1x1 conv 8 sigmoid], y: 'mul <- input, g'}\n"
        "net: {a: 3x3 conv 8, b: gate, c: 3x3 conv w, p: gap, f: fc 2}\n"
    )
    options = ("--over", "w=8,16", "--receptive-field", ">=3", "--maximise", "params")
    result = run("solve", path, *options, "--format", "json")
    data = json.loads(result.stdout, parse_constant=pytest.fail)
    assert data["budgets"][0]["value"] == data["figures"]["receptive_field"] == "all"
    assert "inf" not in run("solve", path, *options).stdout


def test_an_argument_without_effect(tmp_path: Path) -> None:
    (tmp_path / "idle.yaml").write_text(
        GROWING.replace("args: {", "args: {act: relu, ").replace("3x3 conv 4", "3x3 conv 4 act=act")
    )
    result = run(
        "solve", tmp_path / "idle.yaml", "--over", "n=1..3,act=relu,gelu", "--params", "9k", "--maximise", "macs"
    )
    assert result.exit_code != 0 and "E0916" in result.stderr, result.stderr


def test_a_search_that_cannot_be_monotone_says_so(tmp_path: Path) -> None:
    path = tmp_path / "falling.yaml"
    path.write_text(GROWING.replace("3x3 conv w", "3x3 conv 240//w"))
    with pytest.raises(archdsl.ArchError, match="E0917") as caught:
        archdsl.solve(path, over="n=1..4,w=1..60", budgets={"params": "20k"}, maximise="macs", limit=100)
    assert "falls from" in str(caught.value)


def test_a_search_has_a_limit(tmp_path: Path) -> None:
    path = tmp_path / "growing.yaml"
    path.write_text(GROWING)
    with pytest.raises(archdsl.ArchError, match="E0918") as caught:
        archdsl.solve(path, over="n=1..30,w=1..30", budgets={"params": "20k"}, maximise="params", limit=3)
    assert "3 of 900 settings were counted" in str(caught.value)
