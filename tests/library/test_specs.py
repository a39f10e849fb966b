"""Every spec of the library: complete, sourced, sound, formatted, drawn; and its artefacts are one network.

Tests `spec/open.py`.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
import torchvision

import archdsl
from archdsl.backends.spec.rewrite import formatted
from archdsl.drawing.diagram import diagram
from archdsl.graph import FreeSize
from archdsl.library.check import check
from archdsl.source import read
from archdsl.spec.find import find_spec, library_files, library_folder, library_networks

DEMANDED = {
    "the article's, historic and modern": (
        "lenet5 lenet5_1998 alexnet alexnet_2012 vgg11 vgg13 vgg16 vgg19 vgg11_bn vgg13_bn vgg16_bn vgg19_bn googlenet"
        " googlenet_2014 inception_v3 inception_v4 inception_resnet_v1 inception_resnet_v2_paper inception_resnet_v2"
        " resnet18 resnet34 resnet50 resnet101 resnet152 resnet50_v1 resnet101_v1 resnet152_v1 resnet20 resnet32"
        " resnet44 resnet56 resnet110 resnext50_32x4d wide_resnet50_2 wide_resnet101_2 densenet121 densenet169"
        " densenet201 densenet161 densenet264 densenet_bc100_k12"
    ),
    "Bianco et al. 2018, figure 1": (
        "alexnet bninception cafferesnet101 densenet121 densenet161 densenet169 densenet201 dpn131 dpn68 dpn98"
        " fbresnet152 googlenet_2014 inception_resnet_v2 inception_v3 inception_v4 mobilenet_v1 mobilenet_v2"
        " nasnetalarge nasnetamobile resnet101 resnet152 resnet18 resnet34 resnet50 resnext101_32x4d resnext101_64x4d"
        " se_resnet101 se_resnet152 se_resnet50 se_resnext101_32x4d se_resnext50_32x4d senet154 shufflenet"
        " squeezenet1_0 squeezenet1_1 vgg11 vgg11_bn vgg13 vgg13_bn vgg16 vgg16_bn vgg19 vgg19_bn xception"
    ),
    "Cadene's collection beyond it": "dpn68b dpn92 dpn107 pnasnet5large polynet",
    "for readers of the article": "unet chest_xray",
    "for signals, images and volumes, from MONAI": (
        "densenet121_monai densenet169_monai densenet201_monai densenet264_monai resnet10_monai resnet18_monai"
        " resnet34_monai resnet50_monai resnet101_monai resnet152_monai resnet200_monai resnet10a_monai resnet18a_monai"
        " resnet34a_monai resnet50a_monai resnet101a_monai resnet152a_monai resnet200a_monai unet_monai"
        " vnet_monai highresnet se_resnet50_monai se_resnet101_monai se_resnet152_monai se_resnext50_monai"
        " se_resnext101_monai senet154_monai efficientnet_b0_monai efficientnet_b1_monai efficientnet_b2_monai"
        " autoencoder_monai autoencoder_res_monai regressor_monai classifier_monai mednext_s mednext_b mednext_m"
        " mednext_l mednext_s_grn mednext_s_ds"
    ),
    "for an image and the patient's data, and for two images": "skin_lesion_meta siamese_resnet101 siamese",
    "for video, CT and ECG": "r3d_18 mc3_18 r2plus1d_18 s3d unet3d ecg_resnet34 inceptiontime",
}
"""Names by what asks for them. torchvision's 68 are in test_library.py."""

EXAMPLES = ("basic_cnn", "edge_filter", "perceptron")
"""Specs that teach a single idea; no data set, and no published figures, belong to them."""

QUICK = (
    "lenet5_1998",
    "resnet20",
    "squeezenet1_1",
    "mobilenet_v3_small",
    "shufflenet_v2_x0_5",
    "densenet_bc100_k12",
    "mnasnet0_5",
    "chest_xray",
    "shufflenet",
    "inceptiontime",
    "resnet10a_monai",
    "autoencoder_res_monai",
    "skin_lesion_meta",
    "siamese_resnet101",
)
"""Networks whose artefacts are compared always; of the others with `--all`."""
LARGEST = 250_000_000
"""Trained numbers above which the artefacts are not run: a larger network's structure is that of a smaller variant."""

FAMILIES = [pytest.param(path, id=path.stem) for path in library_files()]
ARTEFACTS = [pytest.param(name, marks=() if name in QUICK else pytest.mark.slow) for name in archdsl.list()]


def unsound(path: Path) -> list[str]:
    """What is wrong with a spec file: mistakes and warnings, its layout, what cannot be drawn."""
    found = check(path)
    wrong = [f"{path.name}: {d.code} {d.message}" for d in found.diagnostics if d.severity != "note"]
    if wrong:
        return wrong
    if formatted(read(path)) != path.read_text(encoding="utf-8"):
        wrong.append(f"{path.name}: not as `archdsl fmt` writes it")
    if not diagram(archdsl.load(path).graph, "dot").data.startswith(b"digraph"):
        wrong.append(f"{path.name}: not drawn")
    return wrong


@pytest.mark.parametrize("names", DEMANDED.values(), ids=DEMANDED)
def test_the_library_is_complete(names: str) -> None:
    assert set(names.split()) <= set(library_networks())


def test_bianco_compared_44_networks() -> None:
    assert len(set(DEMANDED["Bianco et al. 2018, figure 1"].split())) == 44


@pytest.mark.parametrize("path", FAMILIES)
def test_every_spec_is_sound(path: Path) -> None:
    assert unsound(path) == []


def test_a_broken_spec_fails_with_its_name(tmp_path: Path) -> None:
    shutil.copytree(library_folder(), tmp_path / "specs")
    broken = tmp_path / "specs" / "resnet20.yaml"
    text = broken.read_text()
    for spoiled, code in (
        (text.replace("fc classes", "fc clases"), "resnet20.yaml: E"),
        (text.replace("params: 0.27M", "params: 0.29M"), "resnet20.yaml: E0902"),
        (text.replace("3x3 conv 16", "3x3  conv 16"), "resnet20.yaml: not as `archdsl fmt`"),
    ):
        assert spoiled != text
        broken.write_text(spoiled)
        told = unsound(broken)
        assert told and told[0].startswith(code), told


def test_two_specs_that_claim_one_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("archdsl.spec.find.library_folder", lambda: tmp_path)
    (tmp_path / "one.yaml").write_text("name: one\ninput: 3x8x8\nnet: gap\nvariants: {twin: {}, other: {}}\n")
    (tmp_path / "two.yaml").write_text("name: twin\ninput: 3x8x8\nnet: gap\n")
    for ask in (library_networks, lambda: find_spec("twin"), archdsl.list, lambda: archdsl.load("twin")):
        with pytest.raises(archdsl.ArchError) as caught:
            ask()
        (d,) = caught.value.diagnostics
        assert (d.code, str(d.span), str(d.labels[0].span)) == (
            "E0206",
            f"{tmp_path}/two.yaml:1:7",
            f"{tmp_path}/one.yaml:4:12",
        )
    assert find_spec("other").variant == "other", "what is not in doubt can still be used"
    (tmp_path / "two.yaml").write_text("name: three\ninput: 3x8x8\nnet: gap\nvariants: {three: {}}\n")
    with pytest.raises(archdsl.ArchError, match=r"two networks of `two\.yaml` are named `three`"):
        library_networks()


@pytest.mark.parametrize("name", archdsl.list())
def test_every_network_says_where_it_is_from(name: str) -> None:
    network = archdsl.load(name)
    document = network.document
    if document.family not in EXAMPLES:
        # The paper of `siamese` is of a workshop without identifiers.
        assert document.paper is not None and (document.paper.arxiv or document.paper.doi or name == "siamese")
        # `preprocess` is for images. The paper of `unet` normalises nothing.
        assert (document.preprocess is not None) == (len(network.input) == 3 and name != "unet")
    assert [c.name for c in document.claims if not c.source] == []


@pytest.mark.parametrize("name", archdsl.list())
def test_what_torchvision_publishes(name: str) -> None:
    """Figures whose source is torchvision are those of its documentation, which it generates from this."""
    for claim in archdsl.load(name).document.claims:
        if not claim.source.startswith("torchvision "):
            continue
        release = claim.source.split()[1]
        releases = torchvision.models.get_model_weights(name).__members__
        weights = releases.get(release) or releases[f"IMAGENET1K_{release}"]
        (accuracy,) = weights.meta["_metrics"].values()
        published = {
            "params": weights.meta["num_params"],
            "params_with_aux": weights.meta["num_params"],
            "macs": round(weights.meta["_ops"] * 1e9),
        }
        if claim.name in published:
            assert archdsl.library.claims.agrees(claim.text, published[claim.name]), claim
        elif claim.name in ("top1", "top5"):
            assert float(claim.text) == accuracy[f"acc@{claim.name[3:]}"], claim


@pytest.mark.parametrize("name", ARTEFACTS)
def test_one_network_whatever_is_made_of_it(name: str, tmp_path: Path) -> None:
    network = archdsl.load(name)
    if network.params > LARGEST or name == "resnet1202":  # whose 600 blocks double an untrained signal beyond float32
        pytest.skip("its structure is that of smaller ones")
    assert diagram(network.graph, "dot").data.startswith(b"digraph")
    if isinstance(network.input, tuple):
        network = archdsl.load(name, input=small(network))
    shapes = network.input.values() if isinstance(network.input, dict) else [network.input]
    random = np.random.default_rng(0)
    arrays = [random.standard_normal((2, *shape), np.float32) for shape in shapes]
    given = [torch.from_numpy(array) for array in arrays]
    module = network.to_torch(seed=3)
    made: dict[str, Any] = {"__name__": "printed"}
    exec(compile(network.to_source(), "printed", "exec"), made)
    printed = next(c for c in reversed(made.values()) if isinstance(c, type) and issubclass(c, torch.nn.Module))()
    printed.load_state_dict(module.state_dict(), strict=True)
    path = network.to_onnx(tmp_path / "a.onnx", seed=3).path
    with torch.no_grad():
        own, other = (m.eval()(*given).numpy() for m in (module, printed))
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    (ran,) = session.run(None, {i.name: array for i, array in zip(session.get_inputs(), arrays, strict=True)})
    assert np.array_equal(own, other)
    assert np.isfinite(own).all()
    with torch.no_grad():
        exact = module.double()(*(x.double() for x in given)).numpy()
    # Untrained deep networks enlarge rounding, torch's as well as the runtime's; a mistake would be far above both.
    assert distance(ran, exact) <= max(1e-5, 5 * distance(own, exact))


def distance(values: np.ndarray, exact: np.ndarray) -> float:
    return float(np.abs(values - exact).max() / np.abs(exact).max())


def small(network: archdsl.Network) -> tuple[int, ...]:
    """A small input that the network takes, or its own size where that is fixed."""
    assert isinstance(network.input, tuple)
    side = {1: 4096, 2: 64, 3: 16}[len(network.input) - 1] if network.graph.sizes else 0
    sizes = [_small(size, side) for size in network.graph.sizes]
    return (network.input[0], *sizes) if sizes else network.input


def _small(size: FreeSize, side: int) -> int:
    least = max(size.minimum, min(side, size.default))
    return size.default if size.pinned else least + (size.default - least) % size.step
