"""What it costs to draw a network: `archdsl diagram` beside torchview (with Graphviz) and the layout that Netron runs.

Whole processes, run in turns; medians. `python benchmarks/diagram.py [--rounds 3] [--json] [NETWORK ...]`. With
`--library` instead every network of the library at every level, in one process: processor time after start-up,
Graphviz's included.
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
"""
NETRON = """
import {{ readFileSync }} from 'fs';
import {{ layout }} from './dagre.mjs';
const {{ nodes, edges }} = JSON.parse(readFileSync('{name}.json'));
layout(nodes, edges, {{ nodesep: 20, ranksep: 20 }}, {{}});
"""
"""As Netron's grapher.js calls it."""


def netron_files(name: str, folder: Path) -> list[str]:
    """The command that runs Netron's layout on a network's ONNX nodes, as boxes of 100 by 40; empty: it is not here."""
    import archdsl

    found = find_spec("netron")
    node = shutil.which("node")
    if found is None or not found.submodule_search_locations or node is None:
        return []
    source = Path(found.submodule_search_locations[0]) / "dagre.js"
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
    found = {
        "archdsl, block": [*ours, "block.svg"],
        "archdsl, layer": [*ours, "layer.svg", "--level", "layer"],
        "archdsl, layer, nothing folded": [*ours, "all.svg", "--level", "layer", "--unfold", "*"],
    }
    if not missing("torchview", "torchvision"):
        found["torchview"] = [sys.executable, "-c", TORCHVIEW.format(name=name, size=size)]
    if netron := netron_files(name, folder):
        found["Netron's layout"] = netron
    return found


def timed(name: str, rounds: int, folder: Path) -> Iterator[tuple[str, Run | None]]:
    """Each process in turns; None: over the limit."""
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
        found = sorted((one for one in many if one is not None), key=lambda one: one.cpu_s)
        yield what, found[len(found) // 2] if len(found) > len(many) // 2 else None


def spent() -> float:
    """Processor time of this process and of what it ran, in seconds."""
    below = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + below.ru_utime + below.ru_stime


def library() -> list[list[str]]:
    """For each level the slowest networks, and how long all took."""
    import archdsl
    from archdsl.drawing.diagram import diagram
    from archdsl.drawing.model.drawing import LEVELS, View

    graphs = {name: archdsl.load(name).graph for name in archdsl.list()}
    diagram(next(iter(graphs.values())))  # what is imported once
    rows = []
    for level in LEVELS:
        took = {}
        for name, graph in graphs.items():
            begin = spent()
            made = diagram(graph, view=View(level))
            took[name] = spent() - begin
            assert not made.note, (name, made.note)
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
        found = {name: dict(timed(name, options.rounds, Path(folder))) for name in options.networks}
    if options.json:
        runs = {name: {what: one and one._asdict() for what, one in each.items()} for name, each in found.items()}
        print(json.dumps({"machine": where, "runs": runs}))
        return
    over = f"over {LIMIT_S} s"
    rows = [
        [f"{name}, {what}", *((f"{one.wall_s:.2f} s", f"{one.cpu_s:.2f} s") if one else (over, over))]
        for name, each in found.items()
        for what, one in each.items()
    ]
    print(table(["", "time", "processor time"], rows))
    print(f"\n{where}; medians of {options.rounds} runs")


if __name__ == "__main__":
    main()
