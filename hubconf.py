"""Entries for `torch.hub`: each network of the library by its name.

    torch.hub.load("archdsl/archdsl", "resnet50", pretrained="torchvision:IMAGENET1K_V2")
    torch.hub.load(".", "resnet50", source="local", num_classes=10)  # in a checkout

Parameters are those of `archdsl.create_model`. Names that begin with `_` are no entries.
"""

import typing as _typing

import archdsl as _archdsl
from archdsl.spec.find import library_networks as _networks

dependencies = ["torch", "PIL", "click", "graphviz", "numpy", "onnx", "pydantic", "resvg_py", "rich", "yaml"]


def _entry(name: str) -> _typing.Any:
    def create(pretrained: _typing.Any = False, **parameters: _typing.Any) -> _typing.Any:
        return _archdsl.create_model(name, pretrained, **parameters)

    create.__name__ = name
    create.__doc__ = f"Return {name} of archdsl's library; parameters as for `archdsl.create_model`."
    return create


globals().update({_name: _entry(_name) for _name in _networks()})
