"""Weights by name, from a server on this machine: nothing here reaches another one.

Tests `pretrained/names.py`, `pretrained/release.py`, `pretrained/download.py`, `pretrained/hub.py`,
`pretrained/registries.py`, `network/named.py`, `files/cache.py`.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import archdsl
from archdsl.cli import main
from archdsl.diagnostics import ArchError
from archdsl.pretrained import available, is_name, offline, release
from archdsl.pretrained import release as release_of
from archdsl.pretrained.hub import WEIGHTS
from tests.support.loopback import Answer, Loopback, loopback
from tests.support.places import CAT, ROOT

TEXT = "name: tiny\ninput: 3x32x32\nargs: {classes: 5}\nnet: {conv: 3x3 conv 4 /4 relu, pool: gap, fc: fc classes}\n"
TEXT += "preprocess: imagenet\n"
LABELS = ["ant", "bee", "cat", "dog", "eel"]
CONFIG = {
    "num_classes": 5,
    "pretrained_cfg": {
        "input_size": [3, 32, 32],
        "crop_pct": 0.9,
        "interpolation": "bicubic",
        "mean": [0.5, 0.5, 0.5],
        "std": [0.5, 0.5, 0.5],
        "label_names": LABELS,
    },
}
CARD = b"---\nlicense: cc-by-4.0\n---\n# A network\n"


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    archdsl.loads(TEXT).compile(path, "weights", seed=3)
    data = path.read_bytes()
    return data.replace(b"random, seed 3", b"trained       ", 1)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loopback]:
    with loopback(tmp_path_factory.mktemp("server")) as one:
        yield one


@pytest.fixture
def net(server: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Loopback]:
    """The server as the whole internet, for this process, with an empty cache in an empty folder."""
    from huggingface_hub import constants

    server.answers.clear()
    server.requests.clear()
    for name in ("ARCHDSL_OFFLINE", "HF_HUB_OFFLINE", "TORCH_HOME", "no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ARCHDSL_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("SSL_CERT_FILE", str(server.authority))
    monkeypatch.setenv("https_proxy", server.proxy)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{server.http.server_port}")
    monkeypatch.setattr(
        constants, "HUGGINGFACE_CO_URL_TEMPLATE", constants.ENDPOINT + "/{repo_id}/resolve/{revision}/{filename}"
    )
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_PROGRESS_BARS", True)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.yaml").write_text(TEXT)
    yield server


def problem(make: Callable[[], object]) -> Any:
    with pytest.raises(ArchError) as caught:
        make()
    (found,) = caught.value.diagnostics
    return found


def fetched(server: Loopback) -> int:
    return sum(method == "GET" for method, _ in server.requests)


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


# --- addresses --------------------------------------------------------------------------------------------


def test_an_address_is_fetched_once(net: Loopback, weights: bytes) -> None:
    net.answers["/a/tiny.safetensors"] = Answer(weights)
    url, digest = net.url("/a/tiny.safetensors"), hashlib.sha256(weights).hexdigest()
    found = release(f"{url}#sha256={digest}")
    assert (found.name, found.url, found.sha256) == (url, url, digest)
    assert found.path.read_bytes() == weights
    assert Path(os.environ["ARCHDSL_CACHE"]) in found.path.parents
    with offline():
        assert release(f"{url}#sha256={digest[:8].upper()}").path == release(url).path == found.path
    assert fetched(net) == 1


def test_a_network_reads_it_by_name(net: Loopback, weights: bytes) -> None:
    net.answers["/tiny.safetensors"] = Answer(weights)
    url = net.url("/tiny.safetensors")
    tiny = archdsl.load("tiny.yaml")
    values = tiny.weights(url)
    expected = tiny.weights(seed=3)
    assert all((values[key] == expected[key]).all() for key in expected)
    assert values.source == f"{url}, sha256:{hashlib.sha256(weights).hexdigest()}"
    assert values.facts == {"weights_url": url, "weights_licence": "not stated"}
    assert [note.code for note in values.notes] == ["N0620"]
    module = archdsl.create_model("tiny.yaml", url, num_classes=2)
    assert module.fc.weight.shape == (2, 4)


def test_a_key_in_an_address_is_not_published(net: Loopback, weights: bytes) -> None:
    net.answers["/tiny.safetensors?key=secret"] = Answer(weights)
    values = archdsl.load("tiny.yaml").weights(net.url("/tiny.safetensors?key=secret"))
    assert "secret" not in values.source + str(values.facts) + str(values.notes)


def test_redirects_to_https(net: Loopback, weights: bytes) -> None:
    net.answers["/old"] = Answer(status=302, Location=net.url("/tiny.safetensors"))
    net.answers["/tiny.safetensors"] = Answer(weights)
    assert release(net.url("/old")).path.read_bytes() == weights


@pytest.mark.parametrize("target", ["http://127.0.0.1:9/x", "file:///etc/passwd", "ftp://127.0.0.1/x"])
def test_redirects_to_anything_else(net: Loopback, target: str) -> None:
    net.answers["/old"] = Answer(status=302, Location=target)
    found = problem(lambda: release(net.url("/old")))
    assert found.code == "E0622"
    assert not files(Path(os.environ["ARCHDSL_CACHE"]))


def refused(answer: Callable[[Loopback, bytes], Answer], hash: str = "") -> Callable[[Loopback, bytes], Any]:
    def check(net: Loopback, weights: bytes) -> Any:
        net.answers["/x.pth"] = answer(net, weights)
        found = problem(lambda: release(net.url("/x.pth") + hash))
        assert not files(Path(os.environ["ARCHDSL_CACHE"])), "nothing is left of it"
        return found

    return check


@pytest.mark.parametrize(
    ("check", "code", "part"),
    [
        (refused(lambda net, data: Answer(data), "#sha256=0badc0de"), "E0623", "not 0badc0de"),
        (refused(lambda net, data: Answer(data, cut=100)), "E0622", "100 of"),
        (refused(lambda net, data: Answer(data, Content_Length=str(9 << 30))), "E0622", "the maximum is 8,589,934,592"),
        (refused(lambda net, data: Answer(status=404)), "E0622", "404"),
        (refused(lambda net, data: Answer(status=302, Location="/x.pth")), "E0622", "302"),
        (refused(lambda net, data: Answer(status=302)), "E0622", "302"),
    ],
)
def test_what_arrives_wrong(net: Loopback, weights: bytes, check: Any, code: str, part: str) -> None:
    found = check(net, weights)
    assert found.code == code
    assert part in found.message


def test_a_body_without_a_length_is_limited(net: Loopback, monkeypatch: pytest.MonkeyPatch) -> None:
    from archdsl.pretrained import download

    monkeypatch.setattr(download, "MAX_BYTES", 1000)
    net.answers["/x.pth"] = Answer(b"x" * 5000, Content_Length="", cut=5000)
    assert "more than 1,000 bytes" in problem(lambda: release(net.url("/x.pth"))).message


def test_a_server_that_nobody_vouches_for(net: Loopback, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    found = problem(lambda: release(net.url("/x.pth")))
    assert (found.code, "certificate" in found.message.lower()) == ("E0622", True)


def test_no_server(net: Loopback, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("https_proxy")
    assert problem(lambda: release("https://localhost:1/x.pth")).code == "E0622"


def test_a_damaged_cache_is_fetched_again(net: Loopback, weights: bytes) -> None:
    net.answers["/x.safetensors"] = Answer(weights)
    name = net.url("/x.safetensors") + "#sha256=" + hashlib.sha256(weights).hexdigest()
    path = release(name).path
    path.write_bytes(b"damaged")
    with offline():
        assert problem(lambda: release(name)).code == "E0622"
    assert release(name).path.read_bytes() == weights


def test_a_file_by_its_address(net: Loopback, tmp_path: Path, weights: bytes) -> None:
    path = tmp_path / "a b.safetensors"
    path.write_bytes(weights)
    with offline():
        assert release(path.as_uri()).path == path
        assert archdsl.load("tiny.yaml").weights(path.as_uri()).facts["weights_url"] == path.as_uri()
        assert problem(lambda: release(f"{path.as_uri()}#sha256={'0' * 64}")).code == "E0623"
        assert problem(lambda: archdsl.load("tiny.yaml").weights((tmp_path / "no.pth").as_uri())).code == "E0607"
        assert problem(lambda: release("file://other/x.pth")).code == "E0621"
    assert not net.requests


# --- Hugging Face -----------------------------------------------------------------------------------------


@pytest.fixture
def hub(net: Loopback, weights: bytes) -> Loopback:
    content = {"model.safetensors": weights, "config.json": json.dumps(CONFIG).encode(), "README.md": CARD}
    net.repository("org/tiny", content)
    return net


def test_a_repository(hub: Loopback, weights: bytes) -> None:
    found = release("hf:org/tiny")
    assert found.name == f"hf:org/tiny@{'c' * 40}/model.safetensors"
    assert found.url == f"https://huggingface.co/org/tiny/blob/{'c' * 40}/model.safetensors"
    assert (found.about.licence, found.about.labels) == ("cc-by-4.0", tuple(LABELS))
    assert found.sha256 == hashlib.sha256(weights).hexdigest()
    again = len(hub.requests)
    for name in ("hf:org/tiny", found.name):
        with offline():
            assert release(name) == found
    assert len(hub.requests) == again


def test_preprocessing_labels_and_licence_reach_the_file(hub: Loopback, tmp_path: Path) -> None:
    import onnx

    done = CliRunner().invoke(main, ["compile", "tiny.yaml", "--weights", "hf:org/tiny", "-o", "tiny.onnx"])
    assert done.exit_code == 0, done.output
    assert "resize 35 instead of 37" in done.output and "5 labels, the first is `ant`" in done.output
    assert "licence: cc-by-4.0" in done.output
    meta = {entry.key: entry.value for entry in onnx.load(tmp_path / "tiny.onnx").metadata_props}
    assert meta["weights"].startswith(f"hf:org/tiny@{'c' * 40}/model.safetensors, sha256:")
    assert (meta["weights_licence"], json.loads(meta["labels"])) == ("cc-by-4.0", LABELS)
    recipe = json.loads(meta["preprocess"])
    assert (recipe["resize"], recipe["crop"], recipe["interpolation"]) == (35, [32, 32], "bicubic")
    from_spec = archdsl.predict("tiny.yaml", CAT, weights="hf:org/tiny")
    from_file = archdsl.predict(tmp_path / "tiny.onnx", CAT)
    assert [c.label for c in from_spec.images[0].classes] == [c.label for c in from_file.images[0].classes]
    assert {c.label for c in from_spec.images[0].classes} == set(LABELS)


def test_the_preprocessing_is_timms(hub: Loopback) -> None:
    from PIL import Image
    from timm.data import create_transform

    tiny = archdsl.load("tiny.yaml")
    ours = tiny.transforms(weights=tiny.weights("hf:org/tiny"))(CAT)
    config = CONFIG["pretrained_cfg"]
    assert isinstance(config, dict)
    options = {key: config[key] for key in ("crop_pct", "interpolation", "mean", "std")}
    theirs = create_transform((3, 32, 32), **options)(Image.open(CAT).convert("RGB"))
    assert float((ours - theirs).abs().max()) < 1e-5


@pytest.mark.parametrize("field", [{"mean": [float("nan")] * 3}, {"std": [0, 1, 1]}, {"interpolation": "nearest"}])
def test_a_preprocessing_that_is_none(hub: Loopback, weights: bytes, field: dict[str, Any]) -> None:
    """A repository may state anything: that of the spec is used then."""
    config = {**CONFIG, "pretrained_cfg": {**CONFIG["pretrained_cfg"], **field}}  # type: ignore[dict-item]
    content = {"model.safetensors": weights, "config.json": json.dumps(config).encode(), "README.md": CARD}
    hub.repository("org/tiny", content)
    assert "preprocess" not in archdsl.load("tiny.yaml").weights("hf:org/tiny").facts
    assert archdsl.predict("tiny.yaml", CAT, weights="hf:org/tiny").images


def test_another_number_of_classes_has_no_labels(hub: Loopback) -> None:
    values = archdsl.load("tiny.yaml", classes=2).weights("hf:org/tiny", reinit=["fc"])
    assert "labels" not in values.facts and "preprocess" in values.facts


def test_grey_images(hub: Loopback) -> None:
    """The preprocessing of colours becomes one of grey, as a preset of a spec does."""
    text = TEXT.replace("3x32x32", "1x32x32").replace("preprocess: imagenet\n", "")
    values = archdsl.loads(text).weights("hf:org/tiny", adapt_input=True)
    recipe = json.loads(values.facts["preprocess"])
    assert (recipe["mean"], recipe["layout"]) == ([0.5], "L")


def test_random_weights_with_a_name(net: Loopback, tmp_path: Path) -> None:
    """They are still reported as random."""
    archdsl.load("tiny.yaml").compile(tmp_path / "random.safetensors", "weights", seed=3)
    values = archdsl.load("tiny.yaml").weights((tmp_path / "random.safetensors").as_uri())
    assert values.source.startswith("random, seed 3")


def test_a_revision_and_a_file(net: Loopback, weights: bytes) -> None:
    net.repository("org/tiny", {"a/b.safetensors": weights}, revision="v1")
    net.missing("org/tiny", "README.md", "config.json", revision="c" * 40)
    found = release("hf:org/tiny@v1/a/b.safetensors")
    assert found.name.endswith("/a/b.safetensors")
    assert found.about.licence == "not stated"


def test_a_pickle_where_there_is_no_safetensors(net: Loopback) -> None:
    net.missing("org/tiny", "model.safetensors")
    net.repository("org/tiny", {"pytorch_model.bin": b"pickle"})
    net.missing("org/tiny", "README.md", "config.json", revision="c" * 40)
    assert release("hf:org/tiny").path.name == "pytorch_model.bin"


STRANGE = [b"[", b"[]", b'{"pretrained_cfg": {"mean": "x"}}', b'{"pretrained_cfg": {"crop_pct": -1e-300}}']


@pytest.mark.parametrize("text", STRANGE)
def test_a_strange_configuration_is_ignored(hub: Loopback, weights: bytes, text: bytes) -> None:
    hub.repository("org/tiny", {"model.safetensors": weights, "config.json": text, "README.md": b"---\n- [\n---"})
    found = release("hf:org/tiny")
    assert found.about.licence == "not stated"


def serves(hub: Loopback, hash: str, **headers: str) -> None:
    """Other bytes under the hash that the hub states."""
    answer = Answer(b"other", ETag=f'"{hash}"', X_Repo_Commit="c" * 40, **headers)
    hub.answers["/org/tiny/resolve/main/model.safetensors"] = answer


@pytest.mark.parametrize(
    ("prepare", "name", "code", "part"),
    [
        (
            lambda hub: hub.missing("org/tiny", *WEIGHTS),
            "hf:org/tiny",
            "E0621",
            "no file",
        ),
        (lambda hub: None, "hf:org/tiny/x.bin", "E0622", "404"),
        (lambda hub: None, "hf:org/none", "E0622", ""),
        (lambda hub: None, "hf:org", "E0621", "not a name"),
        (lambda hub: None, "hf:org/tiny/../x", "E0621", "not a name"),
        (lambda hub: serves(hub, "0" * 64, X_Linked_Size=str(9 << 30)), "hf:org/tiny", "E0622", "the maximum is"),
        (lambda hub: serves(hub, "0" * 64), "hf:org/tiny", "E0623", "SHA-256"),
        (lambda hub: serves(hub, "0" * 40), "hf:org/tiny", "E0623", "git hash"),
    ],
)
def test_what_a_repository_cannot_give(hub: Loopback, prepare: Any, name: str, code: str, part: str) -> None:
    prepare(hub)
    found = problem(lambda: release(name))
    assert found.code == code
    assert part in found.message


def test_offline_without_a_cache(hub: Loopback, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARCHDSL_OFFLINE", "1")
    for name in ("hf:org/tiny", "torchvision:resnet18.IMAGENET1K_V1", "timm:resnet18.a1_in1k", hub.url("/x.pth")):
        found = problem(lambda name=name: release(name))  # type: ignore[misc]
        assert (found.code, "offline" in found.message) == ("E0622", True)
    assert not hub.requests


# --- registries -------------------------------------------------------------------------------------------


def test_a_file_that_is_not_torchvisions(net: Loopback, weights: bytes) -> None:
    """The address is torchvision's own; what the server sends in its place is refused."""
    net.answers["/models/resnet50-11ad3fa6.pth"] = Answer(weights)
    found = problem(lambda: archdsl.load("resnet50").weights("torchvision:IMAGENET1K_V2"))
    assert ("CONNECT", "download.pytorch.org:443") in net.requests
    assert (found.code, "not 11ad3fa6" in found.message) == ("E0623", True)


@pytest.fixture
def resnet18(net: Loopback, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Loopback:
    """torchvision's registry with a file for ResNet-18 that this test made."""
    import torch
    from torchvision.models import ResNet18_Weights, resnet18

    torch.manual_seed(0)
    torch.save(resnet18().state_dict(), tmp_path / "made.pth")
    body = (tmp_path / "made.pth").read_bytes()
    path = f"/models/resnet18-{hashlib.sha256(body).hexdigest()[:8]}.pth"
    entry = ResNet18_Weights.IMAGENET1K_V1.value
    monkeypatch.setitem(vars(entry), "url", f"https://download.pytorch.org{path}")
    net.answers[path] = Answer(body)
    return net


def test_torchvision(resnet18: Loopback, tmp_path: Path) -> None:
    import torch

    network = archdsl.load("resnet18")
    values = network.weights("torchvision:IMAGENET1K_V1")
    made = torch.load(tmp_path / "made.pth")
    assert all(torch.equal(torch.from_numpy(values[key].copy()), made[key]) for key in values)
    assert len(json.loads(values.facts["labels"])) == 1000 and json.loads(values.facts["labels"])[0] == "tench"
    model = archdsl.create_model("resnet18.IMAGENET1K_V1", pretrained=True)
    assert torch.equal(model.state_dict()["fc.bias"], made["fc.bias"])
    assert fetched(resnet18) == 1


def test_torchs_own_cache(resnet18: Loopback, tmp_path: Path) -> None:
    (name,) = [Path(path).name for path in resnet18.answers]
    checkpoints = tmp_path / "torch" / "hub" / "checkpoints"
    checkpoints.mkdir(parents=True)
    (tmp_path / "made.pth").rename(checkpoints / name)
    with offline():
        assert release("torchvision:resnet18.DEFAULT").path == checkpoints / name
    (checkpoints / name).write_bytes(b"other")
    assert release("torchvision:resnet18.DEFAULT").path != checkpoints / name


PUBLISHED = ["resnet50.IMAGENET1K_V2", "resnet50.IMAGENET1K_V1", "efficientnet_b1.IMAGENET1K_V2"]
PUBLISHED += ["inception_v3.IMAGENET1K_V1", "mobilenet_v3_large.IMAGENET1K_V2"]


@pytest.mark.parametrize("name", PUBLISHED)
def test_preprocessing_is_that_of_torchvision(name: str) -> None:
    from PIL import Image
    from torchvision.models import get_model_weights

    from archdsl.pretrained.registries import torchvision_set
    from archdsl.runtime.preprocess import LegalSizes
    from archdsl.runtime.recipe import settle
    from archdsl.runtime.transforms import ImageTransform

    model, _, chosen = name.partition(".")
    _, url, about = torchvision_set(model, chosen)
    shape = archdsl.load(model).input
    assert isinstance(shape, tuple) and about.preprocess is not None
    recipe = settle(about.preprocess, False, shape, False)
    ours = ImageTransform(recipe, tuple(map(LegalSizes, shape[1:])))(CAT)
    published = get_model_weights(model)[chosen]
    theirs = published.transforms()(Image.open(CAT).convert("RGB"))
    assert (url, about.labels) == (published.url, tuple(published.meta["categories"]))
    if theirs.shape == ours.shape:
        assert float((ours - theirs).abs().max()) < 1e-5
    else:  # the spec has the size of the paper: EfficientNet-B1 is published for 240 and tested at 255
        assert name == "efficientnet_b1.IMAGENET1K_V2"


def test_timm(net: Loopback, tmp_path: Path) -> None:
    import timm
    import torch
    from safetensors.torch import save_file

    torch.manual_seed(0)
    module = timm.create_model("resnet18").eval()
    save_file(module.state_dict(), tmp_path / "m.safetensors")
    net.repository("timm/resnet18.a1_in1k", {"model.safetensors": (tmp_path / "m.safetensors").read_bytes()})
    values = archdsl.load("resnet18").weights("timm:resnet18.a1_in1k")
    assert values.facts["weights_licence"] == "apache-2.0"
    assert json.loads(values.facts["preprocess"])["interpolation"] == "bicubic"
    assert json.loads(values.facts["labels"])[0].startswith("tench")
    model = archdsl.create_model("resnet18.a1_in1k", pretrained=True)
    x = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        assert torch.allclose(model(x), module(x), atol=1e-5)


def test_names() -> None:
    for name in ("torchvision:X", "timm:a.b", "hf:a/b", "https://a/b", "file:///a", "http://a/b", "s3://a/b", "HF:a/b"):
        assert is_name(name)
    for path in ("a.pth", "./hf/a", "C:\\weights.pth", "/a:b", "a:b", Path("hf:a"), None, {}):
        assert not is_name(path)


@pytest.mark.parametrize(
    ("name", "part", "help"),
    [
        ("torchvision:IMAGENET1K_V3", "no weights `IMAGENET1K_V3` of `resnet50`", "IMAGENET1K_V1, IMAGENET1K_V2"),
        ("torchvision:resnet50", "no weights `resnet50` of `resnet50`", "IMAGENET1K_V1"),
        ("torchvision:resnt50.IMAGENET1K_V2", "no network `resnt50`", "did you mean `resnet50`?"),
        ("timm:resnet50.a9_in1k", "timm has no weights", "resnet50.a1_in1k"),
        ("timm:resnt50.a1_in1k", "timm has no weights", ""),
        ("http://example.org/x.pth", "not a name of weights", "https://"),
        ("s3://bucket/x.pth", "not a name of weights", "https://"),
        ("HF:org/name", "not a name of weights", "hf:"),
        ("https://a/b#md5=1", "not an address", "#sha256="),
        ("https://me:word@a/b", "not an address", "without a user"),
        ("https://a/b c", "not an address", "spaces"),
    ],
)
def test_wrong_names(net: Loopback, name: str, part: str, help: str) -> None:
    found = problem(lambda: archdsl.load("resnet50").weights(name))
    assert found.code == "E0621"
    assert part in found.message and help in found.help
    assert not net.requests


def test_a_spec_with_a_name_of_its_own(net: Loopback) -> None:
    found = problem(lambda: archdsl.load("tiny.yaml").weights("torchvision:IMAGENET1K_V2"))
    assert found.message == "torchvision has no network `tiny`"
    assert found.help == "name its network: `torchvision:resnet50.IMAGENET1K_V2`"


def test_a_missing_package(net: Loopback, monkeypatch: pytest.MonkeyPatch) -> None:
    from archdsl import packages

    monkeypatch.setattr(packages, "find_spec", lambda name: None)
    for name, extra in (("torchvision:a.b", "torchvision"), ("timm:a.b", "timm"), ("hf:a/b", "hub")):
        found = problem(lambda name=name: release_of(name))  # type: ignore[misc]
        assert (found.code, f"[{extra}]" in found.help) == ("E0807", True)


def test_available_weights() -> None:
    names = available("resnet50")
    assert names[:2] == ["torchvision:resnet50.IMAGENET1K_V2", "torchvision:resnet50.IMAGENET1K_V1"]
    assert names[2] == "timm:resnet50.a1_in1k"
    assert available("lenet5") == []
    listed = archdsl.list_models("resnet18", pretrained=True)
    assert {"resnet18.IMAGENET1K_V1", "resnet18.a1_in1k"} <= set(listed)
    found = problem(lambda: archdsl.create_model("lenet5", pretrained=True))
    assert found.code == "E0621"
    found = problem(lambda: archdsl.create_model("resnet18.no_such", pretrained=True))
    assert "timm:resnet18.a1_in1k" in found.help


# --- the command line -------------------------------------------------------------------------------------


def test_the_variable_of_the_endpoint(hub: Loopback, tmp_path: Path) -> None:
    """In a process of its own, as huggingface_hub reads HF_ENDPOINT when it is imported."""
    env = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "HF_ENDPOINT": f"http://127.0.0.1:{hub.http.server_port}",
        "HF_HOME": str(tmp_path / "home"),
    }
    command = [sys.executable, "-m", "archdsl", "compile", "tiny.yaml", "--weights", "hf:org/tiny"]
    for words in ([], ["--offline"]):
        done = subprocess.run([*command, *words], env=env, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr
        assert "licence: cc-by-4.0" in done.stderr
    before = len(hub.requests)
    done = subprocess.run(
        [*command, "--offline"], env={**env, "HF_HOME": str(tmp_path)}, capture_output=True, text=True, timeout=120
    )
    assert (done.returncode, "E0622" in done.stderr, hub.requests[before:]) == (2, True, [])


COMMANDS = [["verify", "tiny.yaml"], ["bench", "tiny.yaml", "--seconds", "0.1"], ["predict", "tiny.yaml", str(CAT)]]


@pytest.mark.parametrize("words", COMMANDS)
def test_every_command_with_weights(net: Loopback, weights: bytes, tmp_path: Path, words: list[str]) -> None:
    (tmp_path / "w.safetensors").write_bytes(weights)
    name = (tmp_path / "w.safetensors").as_uri()
    done = CliRunner().invoke(main, [*words, "--weights", name, "--offline"])
    assert done.exit_code == 0, done.output
    assert "ARCHDSL_OFFLINE" not in os.environ
