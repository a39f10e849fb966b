"""The example at the end of each command's help."""

from __future__ import annotations

EXAMPLES = {
    "list": "archdsl list 'resnet*' --max-params 30M --sort top1 --reverse",
    "params": "archdsl params resnet50 --input 3x320x320",
    "compare": "archdsl compare resnet50 vgg16 mobilenet_v2 --sort macs",
    "sweep": "archdsl sweep resnet50 -a 'n=[3,4,6,3],[2,2,2,2]' -a base=32..128/32 --pareto depth,macs",
    "solve": "archdsl solve resnet50 --over base=16..128/16 --macs '<=2G' --maximise params -o mine.yaml",
    "diagram": "archdsl diagram unet --style volumes -o unet.svg",
    "diff": "archdsl diff resnet50 resnext50_32x4d",
    "check": "archdsl check resnet50 vgg16",
    "fix": "archdsl fix --diff mynet.yaml",
    "watch": "archdsl watch mynet.yaml --open",
    "explain": "archdsl explain E0412",
    "expand": "archdsl expand resnet50#resnet18 --flat",
    "fmt": "archdsl fmt --check mynet.yaml",
    "schema": "archdsl schema -o archdsl.schema.json",
    "import": "archdsl import model.onnx -o model.yaml",
    "lsp": "archdsl lsp",
    "compile": "archdsl compile resnet50 --weights resnet50.safetensors -o resnet50.onnx",
    "bundle": "archdsl bundle resnet50 --to triton --weights resnet50.safetensors --embed-preprocess",
    "passes": "archdsl passes resnet50 --disable fold-after",
    "verify": "archdsl verify resnet50 resnet50.onnx",
    "predict": "archdsl predict resnet50.onnx cat.jpg --top 3",
    "bench": "archdsl bench resnet50 --batch 1,8 --against torch",
    "weights": "archdsl weights inspect last.pth",
    "doctor": "archdsl doctor --format json",
    "mcp": "archdsl mcp --root specs",
    "completion": "archdsl completion bash",
    "help": "archdsl help weights inspect",
}
SUBCOMMANDS = {
    "weights inspect": "archdsl weights inspect last.pth --format json",
    "weights convert": "archdsl weights convert last.pth --part model_ema -o ema.safetensors",
    "weights match": "archdsl weights match timm.safetensors regnet_y_400mf -o map.txt",
    "weights reparameterise": "archdsl weights reparameterise repvgg_a0.pth repvgg_a0 -o deployed.safetensors",
}
"""By command. The tests parse each example with its command."""


def epilog(name: str) -> str:
    """Return the last paragraph of a command's help; \\b keeps click from wrapping it."""
    return f"\b\nExample:\n  {(EXAMPLES | SUBCOMMANDS)[name]}"
