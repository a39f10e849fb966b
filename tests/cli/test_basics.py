"""The command line as a whole: help, exit statuses, streams, what is imported, and `archdsl params`.

Tests `__main__.py`, `cli/params.py` and `cli/failure.py`.
"""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result
from PIL import Image

import archdsl
from archdsl.cli import SECTIONS, main
from archdsl.cli.help_examples import EXAMPLES
from archdsl.diagnostics import ArchError
from tests.support.places import CAT
from tests.support.terminal import on_a_terminal

HEAVY = ("torch", "onnx", "onnxruntime", "numpy", "rich", "PIL")
TINY = (
    "name: tiny\ninput: 3x8x8\nargs: {classes: 10}\nnet:\n  conv: 3x3 conv 4 bn relu\n  pool: gap\n  fc: fc classes\n"
)
COMMANDS = [name for section in SECTIONS.values() for name in section]


def run(*args: object, stdin: str | None = None) -> Result:
    return CliRunner().invoke(main, [str(arg) for arg in args], input=stdin)


def process(*args: object, **more: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "archdsl", *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, **more)  # type: ignore[call-overload,no-any-return]


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.yaml"
    path.write_text(TINY)
    return path


# --- the whole -------------------------------------------------------------------------------------------


def test_help_names_every_command_and_loads_none() -> None:
    result = run("--help")
    assert result.exit_code == 0
    for name in COMMANDS:
        assert f"  {name} " in result.stdout
    code = "import sys; from archdsl.cli import main\ntry: main(['--help'])\nexcept SystemExit: pass\n"
    code += "print(sorted(m for m in sys.modules if m.startswith('archdsl.cli.')), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    needed = ["archdsl.cli.complete", "archdsl.cli.console", "archdsl.cli.help_examples", "archdsl.cli.options"]
    assert done.stderr.strip() == str(needed)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(name: str) -> None:
    with click.Context(main) as ctx:
        command = main.get_command(ctx, name)
    assert command is not None
    assert command.name == name
    assert (command.help or "").strip()
    assert run(name, "--help").exit_code == 0
    options = [p for p in command.params if isinstance(p, click.Option)]
    assert all(option.help for option in options), "every option says what it does"
    assert "--color" in {o for option in options for o in option.opts}


@pytest.mark.parametrize("name", COMMANDS)
def test_the_example_of_a_command_is_one_of_its_command_lines(name: str) -> None:
    help = run(name, "--help").stdout
    assert help.endswith(f"Example:\n    {EXAMPLES[name]}\n"), help
    program, command_name, *args = shlex.split(EXAMPLES[name])
    assert (program, command_name) == ("archdsl", name)
    with click.Context(main) as ctx:
        command = main.get_command(ctx, name)
        assert command is not None
        command.make_context(name, args, parent=ctx)


@pytest.mark.parametrize("name", ["params", "compare", "diff", "check", "explain", "expand", "passes"])
def test_an_example_that_writes_no_file_runs(name: str) -> None:
    result = run(*shlex.split(EXAMPLES[name])[1:])
    assert result.exit_code == (1 if name == "diff" else 0), result.output


def test_version() -> None:
    assert run("--version").stdout == f"archdsl {archdsl.__version__}\n"
    assert process("--version").stdout == f"archdsl {archdsl.__version__}\n"


@pytest.mark.parametrize(
    ("args", "status", "said"),
    [
        ([], 2, "Usage: archdsl"),
        (["parms"], 2, "there is no command 'parms'; did you mean `params`?"),
        (["params"], 2, "Missing argument 'SPEC'"),
        (["params", "vgg16", "--bogus"], 2, "No such option"),
        (["params", "vgg16", "--all", "--depth", "2"], 2, "error[E0003]: `depth` cannot be set with `all`"),
        (["params", "vgg16", "--all", "--format", "csv"], 2, "error[E0003]: format csv always lists every node"),
        (["params", "vgg16", "--batch", "0"], 2, "error[E0002]"),
        (["params", "vgg16", "-a", "classes"], 2, "is not NAME=VALUE"),
        (["params", "vgg16", "-a", "classes=1", "-a", "classes=2"], 2, "is set twice"),
        (["params", "vgg16", "-a", "clases=3"], 2, "error[E0212]: `vgg16` has no argument `clases`"),
        (["params", "vgg16", "-a", "classes=[3]"], 2, "error[E0308]"),
        (["params", "vgg16", "--input", "3x3"], 2, "error[E0202]: the input of `vgg16` is an image: channels x height"),
        (["params", "vgg16", "--input", "3x8x8x8"], 2, "error[E0202]: the input of `vgg16` is an image: channels x"),
        (["params", "vgg16", "--input", "512"], 2, "help: write `3x512x512`"),
        (["params", "lenet5", "--input", "64"], 2, "help: write `1x64x64`"),
        (["params", "vgg16", "--input", "512x400"], 2, "help: write `3x512x400`"),
        (["params", "resnt50"], 2, "did you mean `resnet50`?"),
        (["params", "missing.yaml"], 2, "error[E0114]"),
    ],
)
def test_wrong_usage(args: list[str], status: int, said: str) -> None:
    result = run(*args)
    assert result.exit_code == status
    assert said in result.stderr
    assert result.stdout == ""


def test_a_vector_may_take_the_place_of_an_image(tmp_path: Path) -> None:
    path = tmp_path / "flat.yaml"
    path.write_text("input: 1x28x28\nnet: [fc 10]\n")
    assert run("params", path, "--input", "784").exit_code == 0


def test_python_is_told_so_too() -> None:
    with pytest.raises(ArchError, match="is an image: channels x height x width"):
        archdsl.load("lenet5", input=(64,))


@pytest.mark.parametrize(
    ("own", "window", "size", "written"),
    [
        ("1x16x16x16", "3x3x3", "8", "1x8x8x8"),
        ("1x16x16x16", "3x3x3", "8x9x10", "1x8x9x10"),
        ("1x16x16x16", "3x3x3", "8x8", "4 sizes, e.g. `1x16x16x16`"),
        ("12x500", "3", "250", "12x250"),
        ("12x500", "3", "1x224x224", "2 sizes, e.g. `12x500`"),
    ],
)
def test_another_number_of_sizes_shows_all(own: str, window: str, size: str, written: str) -> None:
    stdin = f"input: {own}\nnet: [{window} conv 4]\n"
    found = run("params", "-", "--input", size, stdin=stdin).stderr
    assert found.startswith("error[E0202]") and written in found


@pytest.mark.parametrize(("own", "noun"), [("12x500", "a signal"), ("1x8x8x8", "a volume")])
def test_an_image_is_no_input_of_other_axes(own: str, noun: str, tmp_path: Path) -> None:
    path, image = tmp_path / "own.yaml", tmp_path / "a.png"
    path.write_text(f"input: {own}\nnet: [conv 4 kernel=3, gap, fc 2]\n")
    Image.new("L", (8, 8)).save(image)
    assert f"error[E0806]: `a.png` is an image; the network's input is {noun}" in run("predict", path, image).stderr


def test_a_wrong_spec_is_status_1(tmp_path: Path) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text("input: 3x8x8\nnet: [3x3 conv 0]\n")
    result = run("params", path)
    assert result.exit_code == 1
    assert result.stderr.startswith("error[E")
    assert f"{path}:2:" in result.stderr


def test_an_argument_may_bear_any_name(tmp_path: Path) -> None:
    path = tmp_path / "named.yaml"
    path.write_text("input: 3x8x8\nargs: {spec: 4, args: 2, self: 1}\nnet: [3x3 conv spec*args*self]\n")
    result = run("params", path, "-a", "spec=5", "-a", "self = 2", "--format", "json")
    assert json.loads(result.stdout)["nodes"][-1]["output"] == [20, 8, 8]


def test_standard_input() -> None:
    assert run("params", "-", stdin=TINY).exit_code == 0
    result = run("params", "-", stdin="input: 3x8x8\nnet: [nonsense]\n")
    assert result.exit_code == 1
    assert "<stdin>:2:7" in result.stderr


# --- failures that are not the user's --------------------------------------------------------------------


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    def fail(*args: object, **more: object) -> None:
        raise ZeroDivisionError("a mistake of ours")

    monkeypatch.setattr("archdsl.network.open_network", fail)
    yield


@pytest.mark.usefixtures("broken")
def test_an_internal_error_asks_for_a_report(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ARCHDSL_DEBUG", raising=False)
    result = run("params", "vgg16")
    assert result.exit_code == 2
    assert "error[E0999]: internal error" in result.stderr
    assert "ZeroDivisionError at test_basics.py:" in result.stderr
    assert "please report it" in result.stderr
    assert "Traceback" not in result.stderr
    monkeypatch.setenv("ARCHDSL_DEBUG", "1")
    result = run("params", "vgg16")
    assert result.exit_code == 2
    assert "Traceback" in result.stderr


def test_a_reader_that_goes_away() -> None:
    command = [sys.executable, "-m", "archdsl", "params", "resnet152", "--all"]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert child.stdout is not None
    child.stdout.close()
    _, errors = child.communicate(timeout=60)
    assert (child.returncode, errors) == (141, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a full disk")
@pytest.mark.parametrize("arguments", [["params", "vgg16"], ["--version"], ["params", "--help"]])
def test_a_full_disk_behind_standard_output(arguments: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-m", "archdsl", *arguments]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, timeout=60)
    assert done.returncode == 2
    assert b"cannot write to standard output: no space left" in done.stderr
    assert b"Traceback" not in done.stderr


def wait_for(path: Path, child: subprocess.Popen[bytes], seconds: float = 60) -> None:
    """Waits until the child has made a file. Fails if the child ends before, or takes longer than `seconds`."""
    deadline = time.monotonic() + seconds
    while not path.exists():
        assert child.poll() is None, child.communicate(timeout=60)
        if time.monotonic() > deadline:
            child.kill()
            pytest.fail(f"no {path.name} after {seconds} s")
        time.sleep(0.01)


@pytest.mark.skipif(sys.platform == "win32", reason="no signals to send")
@pytest.mark.parametrize("sent", ["SIGINT", "SIGTERM", "SIGHUP"])
def test_stopped_while_writing(sent: str, tmp_path: Path) -> None:
    """The child sets the handlers itself, because under `nohup` it would inherit ignored signals."""
    ready = tmp_path / "ready"
    code = f"""if True:
        import archdsl.files.atomic, signal, sys, time
        signal.signal(signal.{sent}, signal.default_int_handler if {sent!r} == "SIGINT" else signal.SIG_DFL)
        def wait(*args):
            open({str(ready)!r}, "w").close()
            time.sleep(60)
        archdsl.files.atomic.OutputFile.write = wait
        from archdsl.cli import main
        sys.argv = ["archdsl", "compile", "lenet5", "--to", "torch"]
        main()
    """
    child = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path)
    wait_for(ready, child)
    assert len([*tmp_path.glob(".archdsl-*")]) == 1
    time.sleep(0.1)
    child.send_signal(getattr(signal, sent))
    out, err = child.communicate(timeout=60)
    assert (child.returncode, out, err.strip()) == (128 + getattr(signal, sent), b"", b"")
    assert [*tmp_path.iterdir()] == [ready]


# --- start-up --------------------------------------------------------------------------------------------


def loaded(code: str) -> set[str]:
    """The heavy packages that a piece of code has imported at its end."""
    tail = f"import sys; print(*[m for m in {HEAVY!r} if m in sys.modules], file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", f"{code}\n{tail}"], capture_output=True, text=True, timeout=240)
    return set(done.stderr.split())


def main_then(*args: str) -> str:
    return f"from archdsl.cli import main\ntry: main({list(args)!r})\nexcept SystemExit as e: assert not e.code, e.code"


@pytest.mark.parametrize(
    "args",
    [
        ["params", "vgg16"],
        ["params", "resnet50", "--format", "json"],
        ["params", "resnet50", "--format", "csv"],
        ["params", "resnet50", "--format", "markdown"],
        ["check", "vgg16"],
        ["diagram", "lenet5", "-o", "-", "--format", "dot"],
        ["list"],
        ["--help"],
    ],
)
def test_nothing_heavy_is_loaded(args: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert loaded(main_then(*args)) == set()


def test_the_test_above_can_fail() -> None:
    assert loaded("import numpy") == {"numpy"}


def test_source_and_onnx_need_no_torch(tmp_path: Path) -> None:
    for target in ("onnx", "torch", "weights"):
        code = main_then("compile", "lenet5", "--to", target, "-o", str(tmp_path / f"{target}.py"))
        assert "torch" not in loaded(code)


def test_pydantic_takes_our_plugin_loader_or_gets_its_own() -> None:
    code = """if True:
        import sys
        from archdsl import cli
        cli._set_up_process()
        import pydantic
        class A(pydantic.BaseModel):
            x: int
        assert A(x=3).x == 3
        from pydantic.plugin import _loader
        assert type(_loader).__name__ == "_NoPlugins"
        assert callable(_loader.get_plugins) and not _loader.get_plugins()
        assert _loader.PYDANTIC_ENTRY_POINT_GROUP == "pydantic"
        assert type(sys.modules["pydantic.plugin._loader"]).__name__ == "module"
    """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


# --- colours ---------------------------------------------------------------------------------------------


def test_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    for args in (["params", "lenet5"], ["check", "lenet5"], ["list", "lenet5"]):
        assert "\x1b[" not in run(*args).output, "a pipe gets none"
        assert "\x1b[" in run(*args, "--color", "always").output
        assert "\x1b[" not in run(*args, "--color", "never").output
    assert "\x1b[" in run("--color", "always", "params", "vgg61").stderr
    assert "\x1b[" in run("params", "--color", "always", "vgg61").stderr


@pytest.mark.skipif(sys.platform == "win32", reason="terminals of POSIX")
def test_a_terminal_gets_colours_unless_told_otherwise() -> None:
    for more, coloured in (({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)):
        environment = {**os.environ, "TERM": "xterm", **more}
        if "NO_COLOR" not in more:
            environment.pop("NO_COLOR", None)
        assert ("\x1b[" in on_a_terminal(["params", "perceptron"], environment)) is coloured


def test_a_terminal_that_knows_ascii_only() -> None:
    done = process("params", "vgg16", env={**os.environ, "PYTHONIOENCODING": "ascii"})
    assert done.returncode == 0
    assert done.stdout.isascii()
    assert "-----" in done.stdout


# --- params ----------------------------------------------------------------------------------------------


def test_params_as_a_table(tiny: Path) -> None:
    result = run("params", tiny)
    assert result.exit_code == 0
    assert result.stderr == ""
    lines = result.stdout.splitlines()
    assert lines[0] == "tiny  input 3x8x8"
    assert [line.split()[0] for line in lines if line[:4] in ("conv", "pool", "fc  ")] == ["conv", "pool", "fc"]
    total = next(line for line in lines if line.startswith("total"))
    assert total.split()[1] == str(archdsl.loads(TINY).params)


def test_params_as_json_is_a_contract(tiny: Path) -> None:
    report = json.loads(run("params", tiny, "--format", "json", "--batch", 8, "-a", "classes=3").stdout)
    assert list(report) == ["name", "input", "complete", "errors", "convention", "totals", "unread", "nodes"]
    assert list(report["totals"]) == [
        "params",
        "buffers",
        "aux_params",
        "macs",
        "flops",
        "activations",
        "peak_memory_bytes",
        "weight_bytes",
    ]
    assert list(report["nodes"][0]) == ["path", "op", "inputs", "output", "params", "macs", "receptive_field", "line"]
    totals = report["totals"]
    assert sum(node["params"] for node in report["nodes"]) == totals["params"]
    assert sum(node["macs"] for node in report["nodes"]) == totals["macs"] == totals["flops"] // 2
    assert report["nodes"][-1]["output"] == [3]
    assert report["nodes"][-1]["line"] == 7
    assert totals["macs"] == 8 * archdsl.loads(TINY, classes=3).macs


def test_params_at_another_size(tiny: Path) -> None:
    report = json.loads(run("params", tiny, "--input", "3x16x16", "--format", "json").stdout)
    assert report["input"] == "3x16x16"
    assert report["nodes"][1]["output"] == [4, 16, 16]


def test_params_of_everything_and_in_depth() -> None:
    assert len(run("params", "resnet50", "--all").stdout.splitlines()) > 150
    assert "layer3" in run("params", "resnet50", "--depth", "0").stdout
    deep = run("params", "resnet50", "--depth", "2").stdout
    assert "layer1.0.conv1" in deep
    assert "of params" in run("params", "resnet50", "--share", "params").stdout


def test_params_into_a_file(tiny: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    assert run("params", tiny, "--format", "csv", "-o", out).stdout == ""
    assert out.read_text() == run("params", tiny, "--format", "csv").stdout
    again = run("params", tiny, "--format", "csv", "-o", out)
    assert (again.exit_code, "E0703" in again.stderr) == (2, True)
    assert run("params", tiny, "--format", "csv", "-o", out, "--force").exit_code == 0
    over = run("expand", tiny, "-o", tiny, "--force")
    assert (over.exit_code, "E0702" in over.stderr) == (2, True)
    assert tiny.read_text() == TINY


@pytest.mark.parametrize("name", ["x" * 5000, "a\0b", "\ud800", "-", "con\n\x1b[31m"])
def test_names_no_file_can_have(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    photo = str(CAT)
    for args in (
        ["params", f"{name}/x.yaml"],
        ["check", f"{name}/x.yaml"],
        ["params", "lenet5", "-o", f"{name}/x"],
        ["compile", "lenet5", "-o", f"{name}/x"],
        ["compile", "lenet5", "--all-targets", "-o", f"{name}/x"],
        ["compile", "lenet5", "--weights", f"{name}/x.safetensors"],
        ["diagram", "lenet5", "-o", f"{name}/x.svg"],
        ["predict", "edge_filter", photo, "-o", f"{name}/x.png"],
        ["predict", "edge_filter", f"{name}/x.jpg"],
        ["predict", f"{name}/x.onnx", photo],
    ):
        result = run(*args)
        assert result.exit_code == 2, (args, result.output)
        assert "error[E0999]" not in result.output
        assert "\x1b" not in result.output
        assert not list(tmp_path.iterdir())


# --- params of a spec with errors -------------------------------------------------------------------------


def test_params_prints_the_errors_and_then_what_is_known(tiny: Path) -> None:
    tiny.write_text(TINY.replace("pool: gap", "pool: gp"))
    result = run("params", tiny)
    assert result.exit_code == 1
    with pytest.raises(ArchError) as caught:
        archdsl.load(tiny)
    assert result.stderr == f"{caught.value}\n"
    rows = [line.split() for line in result.stdout.splitlines()]
    assert ["conv", "3x3", "conv", "4", "bn", "relu", "4", "x", "8", "x", "8", "116", "6,912", "-", "3"] in rows
    assert ["pool", "gp", "?", "?", "?", "-", "?"] in rows
    assert ["fc", "fc", "10", "?", "?", "?", "-", "?"] in rows
    assert ["at", "least", "116", "6,912", "-"] in rows
    assert "the spec has errors; 2 of 6 nodes unknown: ?" in result.stdout
    assert "sizes" not in result.stdout
    data = json.loads(run("params", tiny, "--format", "json").stdout)
    assert (data["complete"], [e["code"] for e in data["errors"]]) == (False, ["E0301"])


@pytest.mark.parametrize("text", ["net", "input: [", "input: 3x8x8\nnet: {a: 99999999 * relu}"])
def test_params_says_that_nothing_is_known(text: str) -> None:
    result = run("params", "-", stdin=text)
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.endswith("nothing is known of this network, so there is no table\n")
    assert json.loads(run("params", "-", "--format", "json", stdin=text).stdout)["nodes"] == []


def test_wrong_arguments_print_no_table(tiny: Path) -> None:
    for option in (["-a", "klasses=3"], ["-a", "classes=x"], ["--input", "7"], ["--input", "3x"]):
        result = run("params", tiny, *option)
        assert (result.exit_code, result.stdout) == (2, ""), option
