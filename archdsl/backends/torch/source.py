"""Print a graph as a Python file that imports only torch. Imports no torch itself.

The file is printed from the program that `module` runs: `sharing` finds the blocks of one class, `options` chooses its
arguments, `constructors` and `forward` print its contents, `classes` prints the whole class.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Sequence
from typing import Any

from archdsl.analysis.count import count
from archdsl.axes import axes_of
from archdsl.backends.torch.class_arguments import constant
from archdsl.backends.torch.classes import Classes, sizes_in_pads
from archdsl.backends.torch.docstrings import shape_words
from archdsl.backends.torch.layer_text import init_text, layer_names, layer_texts
from archdsl.backends.torch.layout import INDENT, SourceGroup, fill, lay, wrap
from archdsl.backends.torch.naming import docstring, field_names
from archdsl.backends.torch.program import program
from archdsl.backends.torch.sharing import Sharing
from archdsl.graph import Graph
from archdsl.shapes import concrete


def to_source(graph: Graph, *, paper: str = "", fingerprint: str = "") -> str:
    """Return the network as a Python module: one class per block, the network's class, `build()`, and a short script.

    With the same weights it computes bit for bit the same as `to_torch`; the keys of its state_dict are equal. The
    file's docstring contains `paper` and `fingerprint`.
    """
    text = _File(graph).text(paper, fingerprint)
    ast.parse(text)  # the result is Python for all names in a spec
    return text


class _File:
    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.program = program(graph)
        self.sharing = Sharing(self.program, layer_names() | {"build"})
        self.classes = Classes(graph, self.program, self.sharing)

    def text(self, paper: str, fingerprint: str) -> str:
        classes = [self.classes.class_text(shared) for shared in self.sharing.classes]
        helpers = layer_texts(self.classes.constructors.layers)
        if self.classes.initialised:
            helpers.append(init_text({axes_of(shape) for node in self.graph.nodes for shape in node.in_shapes}))
        body = [
            *helpers,
            *(
                fill(name, list(map(constant, _whole(value))))
                for value, name in self.classes.constructors.constants.items()
            ),
            *("\n".join(lines) for lines in classes[:-1]),
            *self._output_classes(),
            "\n".join(classes[-1]),
            self._build(),
            self._script(),
        ]
        text = "\n\n\n".join(body) + "\n"
        head = "\n".join(docstring(self._header(paper, fingerprint)))
        return f"{head}\n\n{_imports(text)}\n\n\n{text}"

    def _header(self, paper: str, fingerprint: str) -> list[str]:
        totals = count(self.graph)
        lines = [f"{self.graph.name} in PyTorch.", ""]
        lines += [*wrap(f"{paper}."), ""] if paper else []
        facts = f"Input {self._input_words()}; {totals.params:,} parameters"
        facts += f" ({totals.aux_params:,} more in auxiliary heads)" if totals.aux_params else ""
        lines += wrap(f"{facts}; {totals.macs:,} multiply-accumulates per sample.")
        if sizes_in_pads(self.graph):
            words = "The pads of `pad=same` with a stride are those of this input size."
            lines += ["", *wrap(f"{words} The module accepts no other.")]
        mark = f"Made by archdsl from the spec `{self.graph.name}`"
        return [*lines, "", f"{mark}, {fingerprint[:12]}." if fingerprint else f"{mark}."]

    def _input_words(self) -> str:
        return " and ".join(shape_words(concrete(self.graph.nodes[i].shape)) for i in self.graph.inputs)

    def _output_classes(self) -> list[str]:
        fields = field_names((*self.program.outputs, *self.program.aux))
        plain = len(self.program.outputs)
        texts = []
        if plain > 1:
            texts.append(
                _named_tuple(
                    f"{self.sharing.main.name}Outputs", "The outputs of the network at inference.", fields[:plain]
                )
            )
        if self.program.aux:
            texts.append(
                _named_tuple(
                    f"{self.sharing.main.name}TrainingOutputs", "The outputs of the network in training.", fields
                )
            )
        return texts

    def _build(self) -> str:
        lines = ["def build() -> nn.Module:", *docstring(["Return the network with initial weights."], INDENT)]
        return "\n".join([*lines, f"{INDENT}return {self.sharing.main.name}()"])

    def _script(self) -> str:
        sizes = [", ".join(map(str, concrete(self.graph.nodes[i].shape))) for i in self.graph.inputs]
        inputs = [f"torch.randn(2, {size})" for size in sizes]
        lines = ['if __name__ == "__main__":', f"{INDENT}model = build().eval()", f"{INDENT}with torch.no_grad():"]
        lines += lay("output = ", SourceGroup("model(", tuple(inputs)), indent=INDENT * 2)
        if len(self.program.outputs) > 1:
            lines += [
                f"{INDENT}for name, value in output._asdict().items():",
                f'{INDENT * 2}print(f"{{name}}:", tuple(value.shape))',
            ]
        else:
            lines.append(f'{INDENT}print("output:", tuple(output.shape))')
        lines.append(
            f'{INDENT}print(f"parameters: {{sum(p.numel() for p in model.parameters() if p.requires_grad):,}}")'
        )
        return "\n".join(lines)


# --- pieces of text ---------------------------------------------------------------------------------------


def _whole(value: Any) -> Any:
    """Return integral floats as ints, without `.0`; the reader converts them to float32."""
    if isinstance(value, tuple):
        return tuple(map(_whole, value))
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _imports(text: str) -> str:
    """Return the imports that the text needs."""
    code = re.sub(r'""".*?"""', "", text, flags=re.DOTALL)
    lines = []
    if re.search(r"\bOrderedDict\b", code):
        lines.append("from collections import OrderedDict")
    typing = [name for name in ("Any", "NamedTuple") if re.search(rf"\b{name}\b", code)]
    if typing:
        lines.append(f"from typing import {', '.join(typing)}")
    third = ["import torch"] if re.search(r"\btorch\.", code) else []
    third += ["import torch.nn.functional as F"] if re.search(r"\bF\.", code) else []
    third.append("from torch import Tensor, nn")
    head = "from __future__ import annotations\n"
    return "\n".join([head, *([*lines, ""] if lines else []), *third])


def _named_tuple(name: str, about: str, fields: Sequence[str]) -> str:
    lines = [f"class {name}(NamedTuple):", *docstring([about], INDENT), ""]
    return "\n".join([*lines, *(f"{INDENT}{field}: Tensor" for field in fields)])
