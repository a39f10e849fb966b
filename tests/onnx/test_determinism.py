"""Source, ONNX, drawings and hashes are the same bytes in every process, whatever Python's hash seed."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.support.places import ROOT

pytest.importorskip("torch")

SCRIPT = """
import hashlib, sys
import archdsl
from archdsl.backends.onnx.write import build
from archdsl.backends.weights import folded, initial
from archdsl.passes.optimise import optimise
from archdsl.source import decode
from archdsl.spec.open import from_source
from archdsl.drawing.diagram import diagram
from archdsl.backends.spec.rewrite import flat_text, formatted, long_text

def bytes_of(text):
    net = archdsl.loads(text)
    small, weights = optimise(net.graph), initial(net.graph)
    source = decode(text.encode(), "a.yaml")
    yield net.fingerprint.encode()
    yield net.to_source().encode()
    yield build(net.graph, weights, meta=net.metadata()).SerializeToString()
    yield build(small, folded(weights, small)).SerializeToString()
    yield diagram(net.graph, "dot").data
    yield diagram(net.graph, "svg").data
    yield formatted(source).encode() + long_text(from_source(source)).encode()
    yield net.summary().encode()

for text in sys.stdin.read().split("\\n---\\n"):
    print(*(hashlib.sha256(data).hexdigest() for data in bytes_of(text)))
"""


def made(texts: str, hash_seed: int) -> list[str]:
    root = str(ROOT)
    env = {**os.environ, "PYTHONHASHSEED": str(hash_seed), "PYTHONPATH": root}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], input=texts, env=env, capture_output=True, text=True, check=False, timeout=300
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.splitlines()


@pytest.mark.parametrize(
    ("count", "seeds"), [(8, (0, 0, 1)), pytest.param(200, (0, 0, 1, 2, 3, 4), marks=pytest.mark.slow)]
)
def test_the_same_bytes(count: int, seeds: tuple[int, ...]) -> None:
    from tests.search.networks.make import specification
    from tests.search.networks.text import written

    texts = "\n---\n".join(written(specification(seed), seed) for seed in range(7000, 7000 + count))
    first, *others = (made(texts, seed) for seed in seeds)
    assert len(first) == count
    for other in others:
        assert other == first
