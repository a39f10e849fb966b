"""The metadata of a compiled file."""

from __future__ import annotations

import json
from typing import Any

from archdsl.network.about import argument


def metadata(network: Any) -> dict[str, str]:
    """Return what a compiled file stores of its network: spec, hash, preprocessing, labels, paper, kind of output."""
    from archdsl.backends.spec.rewrite import embedded_text

    meta = {
        "name": network.name,
        "spec_sha256": network.fingerprint,
        "params": str(network.params),
        "macs": str(network.macs),
        "output": network.output_kind,
        "spec": embedded_text(network.document, network.args, network.whole),
    }
    if network.args:
        meta["args"] = json.dumps({k: argument(v) for k, v in network.args.items()})
    if network.recipe is not None:
        meta["preprocess"] = network.recipe.to_json()
    if network.labels:
        meta["labels"] = json.dumps(network.labels, ensure_ascii=False)
    if network.document.paper is not None:
        meta["paper"] = network.document.paper.model_dump_json(exclude_none=True)
    if not any(t.param.trained for t in network.graph.tensors):
        meta["weights"] = "fixed by the spec"
    return meta
