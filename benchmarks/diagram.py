"""Compare the time to draw a network: `archdsl diagram`, torchview (with Graphviz), and Netron's layout.

Medians of whole processes, run in turns. `python benchmarks/diagram.py [--rounds 3] [--json] [NETWORK ...]`. With
`--library`, it draws every network of the library at every level in one process, and prints the CPU time after
start-up, Graphviz included.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from measure import Run, machine, missing, run, table

LIMIT_S = 120
TORCHVIEW = """
import torch, torchvision
from torchview import draw_graph
net = torchvision.models.{name}(weights=None, init_weights=False) if "{name}" in ("googlenet", "inception_v3") else torchvision.models.{name}()
drawn = draw_graph(net.eval(), input_size=(2, 3, {size}, {size}), device="meta", expand_nested=True, depth=9)
open("torchview.svg", "wb").write(drawn.visual_graph.pipe(format="svg"))
"""  # noqa: E501
NETRON = """
import {{ readFileSync }} from 'fs';
import {{ layout }} from './dagre.mjs';
const {{ nodes, edges }} = JSON.parse(readFileSync('{name}.json'));
layout(nodes, edges, {{ nodesep: 20, ranksep: 20 }}, {{}});
"""
"""Netron's grapher.js calls the layout like this."""


def netron_files(name: str, folder: Path) -> list[str]:
    """The command that runs Netron's layout on a network's nodes, as boxes of 100 by 40; empty if not installed."""
    import archdsl

    netron = find_spec("netron")
    node = shutil.which("node")
    if netron is None or not netron.submodule_search_locations or node is None:
        return []
    source = Path(netron.submodule_search_locations[0]) / "dagre.js"
    shutil.copy(source, folder / "dagre.mjs")
    graph = archdsl.load(name).graph
    nodes = [{"v": str(n.id), "width": 100, "height": 40} for n in graph.nodes]
    common = {"minlen": 1, "weight": 1, "width": 0, "height": 0, "labeloffset": 10, "labelpos": "r"}
    edges = [{"v": str(i), "w": str(n.id), **common} for n in graph.nodes for i in dict.fromkeys(n.inputs)]
    (folder / f"{name}.json").write_text(json.dumps({"nodes": nodes, "edges": edges}))
    (folder / f"{name}.mjs").write_text(NETRON.format(name=name))
    return [node, f"{name}.mjs"]


def commands(name: str, folder: Path) -> dict[str, list[str]]:
    ours = [sys.executable, "-m", "archdsl", "diagram", name, "--force", "-o"]
    size = 299 if name == "inception_v3" else 224
    processes = {
        "archdsl, block": [*ours, "block.svg"],
        "archdsl, layer": [*ours, "layer.svg", "--level", "layer"],
        "archdsl, layer, nothing collapsed": [*ours, "all.svg", "--level", "layer", "--unfold", "*"],
    }
    if not missing("torchview", "torchvision"):
        processes["torchview"] = [sys.executable, "-c", TORCHVIEW.format(name=name, size=size)]
    if netron := netron_files(name, folder):
        processes["Netron's layout"] = netron
    return processes


def timed(name: str, rounds: int, folder: Path) -> Iterator[tuple[str, Run | None]]:
    """The median run of each process, in turns; None if it exceeds the time limit."""
    wanted = commands(name, folder)
    runs: dict[str, list[Run | None]] = {what: [] for what in wanted}
    for _ in range(rounds):
        for what, command in wanted.items():
            try:
                runs[what].append(run(["timeout", str(LIMIT_S), *command], folder))
            except RuntimeError as problem:
                if "exit status 124" not in str(problem):
                    raise
                runs[what].append(None)
    for what, many in runs.items():
        ended = sorted((one for one in many if one is not None), key=lambda one: one.cpu_s)
        yield what, ended[len(ended) // 2] if len(ended) > len(many) // 2 else None


def spent() -> float:
    """The CPU time of this process and its child processes in seconds."""
    below = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + below.ru_utime + below.ru_stime


def library() -> list[list[str]]:
    """A row for each level: the time for all networks, and the slowest ones."""
    import archdsl
    from archdsl.drawing.diagram import diagram
    from archdsl.drawing.model.drawing import LEVELS, View

    graphs = {name: archdsl.load(name).graph for name in archdsl.list()}
    diagram(next(iter(graphs.values())))  # imports modules once
    rows = []
    for level in LEVELS:
        took = {}
        for name, graph in graphs.items():
            begin = spent()
            drawn = diagram(graph, view=View(level))
            took[name] = spent() - begin
            assert not drawn.note, (name, drawn.note)
        slowest = sorted(took, key=took.__getitem__)[-3:][::-1]
        rows.append([level, f"{sum(took.values()):.1f} s", ", ".join(f"{name} {took[name]:.2f} s" for name in slowest)])
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="*", default=["vgg16", "resnet152", "googlenet", "densenet201"])
    parser.add_argument("--rounds", type=int, default=3, help="runs of each process (3)")
    parser.add_argument("--library", action="store_true", help="every network at every level")
    parser.add_argument("--json", action="store_true", help="print JSON")
    options = parser.parse_args()
    where = machine("graphviz", "torchview", "torchvision", "netron")
    if options.library:
        rows = library()
        print(
            json.dumps({"machine": where, "levels": rows})
            if options.json
            else table(["level", "all", "the slowest"], rows) + f"\n\n{where}"
        )
        return
    with tempfile.TemporaryDirectory() as folder:
        results = {name: dict(timed(name, options.rounds, Path(folder))) for name in options.networks}
    if options.json:
        runs = {name: {what: one and one._asdict() for what, one in each.items()} for name, each in results.items()}
        print(json.dumps({"machine": where, "runs": runs}))
        return
    over = f"over {LIMIT_S} s"
    rows = [
        [f"{name}, {what}", *((f"{one.wall_s:.2f} s", f"{one.cpu_s:.2f} s") if one else (over, over))]
        for name, each in results.items()
        for what, one in each.items()
    ]
    print(table(["", "time", "CPU time"], rows))
    print(f"\n{where}; medians of {options.rounds} runs")


if __name__ == "__main__":
    main()
