"""`archdsl completion` in real shells and by click's classes, and `archdsl help`.

Tests `cli/complete.py`, `cli/completion.py` and `cli/help.py`.
"""

from __future__ import annotations

import os
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.shell_completion import BashComplete, get_completion_class
from click.testing import CliRunner

from archdsl import explain
from archdsl.cli import SECTIONS, complete, main
from archdsl.passes.optimise import PASSES
from archdsl.spec.find import library_names, library_networks

TINY = "name: tiny\ninput: 3x8x8\nnet: {c: 3x3 conv 4, p: gap, f: fc 10}\nvariants: {wide: {}, deep: {}}\n"


def proposed(*words: str) -> list[str]:
    """What Tab proposes for the last word."""
    *args, word = words
    found = BashComplete(main, {}, "archdsl", complete.VARIABLE).get_completions(args, word)
    return [item.value if item.type == "plain" else f"<{item.type}>" for item in found]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny net.yaml").write_text(TINY)
    (tmp_path / "wrong.yaml").write_text("a: [")
    return tmp_path


# --- what is proposed ------------------------------------------------------------------------------------


def test_names_are_those_of_the_library() -> None:
    assert library_names() == sorted(library_networks())


@pytest.mark.parametrize(
    ("words", "values"),
    [
        (["com"], ["compare", "compile", "completion"]),
        (["help", "we"], ["weights"]),
        (["weights", "re"], ["reparameterise"]),
        (["params", "resnet50_m"], ["<file>", "resnet50_monai"]),
        (["check", "vgg16", "resnet50_m"], ["<file>", "resnet50_monai"]),
        (["params", "tiny net.yaml#"], ["tiny net.yaml#tiny", "tiny net.yaml#wide", "tiny net.yaml#deep"]),
        (["list", "vgg16_"], [name for name in library_names() if name.startswith("vgg16_")]),
        (["explain", "e041"], [f"e{code[1:]}" for code in explain.codes() if code.startswith("E041")]),
        (["passes", "vgg16", "--disable", "fold"], [name for name in PASSES if name.startswith("fold")]),
        (["diagram", "--style", "v"], ["volumes"]),
        (["diagram", "resnet50", "--focus", "layer2.1"], ["layer2.1"]),
        (["diagram", "resnet50", "--level", "layer", "--focus", "la"], [f"layer{n}" for n in (1, 2, 3, 4)]),
        (["predict", "resnet50", "cat.jpg", "--layer", "layer3.5"], ["layer3.5"]),
        (["compile", "vgg16", "--to", ""], ["onnx", "torch", "weights"]),
        (["compile", "vgg16", "-o", "x"], ["<file>"]),
        (["bundle", "vgg16", "-o", "x"], ["<dir>"]),
        (["completion", ""], ["bash", "zsh", "fish"]),
        (["params", "--forma"], ["--format"]),
    ],
)
def test_what_is_proposed(here: Path, words: list[str], values: list[str]) -> None:
    assert proposed(*words) == values


def test_specs_come_before_other_files(here: Path) -> None:
    for name in ("my.yaml", "my.png", "my.pth", "my.onnx", "my[1].yml", "myb.YAML"):
        (here / name).touch()
    (here / "mine").mkdir()
    (here / "mine" / "a.yml").touch()

    def names(word: str) -> list[str]:
        items = BashComplete(main, {}, "archdsl", complete.VARIABLE).get_completions(["params"], word)
        return [item.value for item in items if item.type == "file"]

    assert names("my") == ["my.onnx", "my.yaml", "my[1].yml", "myb.YAML"]
    assert names("mi") == ["mine"] and names("mine/") == ["mine/a.yml"] and names("./my[") == ["./my[1].yml"]
    assert names("none") == ["none"]


@pytest.mark.parametrize(
    "words",
    [["bogus", "x"], ["params", "nosuch#"], ["params", "wrong.yaml#"], ["diagram", "wrong.yaml", "--focus", "a"]],
)
def test_nothing_for_what_is_wrong(here: Path, words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert proposed(*words) == []
    assert capsys.readouterr() == ("", "")


def parameters() -> Iterator[tuple[str, click.Parameter]]:
    with click.Context(main) as ctx:
        commands = [main.get_command(ctx, name) for name in main.list_commands(ctx)]
    for command in commands:
        assert command is not None
        inner = command.commands.values() if isinstance(command, click.Group) else [command]
        yield from ((one.name or "", param) for one in inner for param in one.params)


def test_every_name_of_a_file_or_network_is_completed() -> None:
    kinds = ("SPEC", "FILE", "FOLDER", "DIR", "MODEL", "OUT", "PASS", "PATH", "STYLE", "LEVEL")
    lacking = [
        f"{command} {param.name}"
        for command, param in parameters()
        if any(kind in (param.metavar or "") for kind in kinds) and param._custom_shell_complete is None
    ]
    assert lacking == []


# --- in shells -------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the program `archdsl`, and the scripts of the shells."""
    folder = tmp_path_factory.mktemp("program")
    (folder / "archdsl").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m archdsl "$@"\n')
    (folder / "archdsl").chmod(0o755)
    for shell in ("bash", "zsh", "fish"):
        result = CliRunner().invoke(main, ["completion", shell])
        assert result.exit_code == 0 and 'split ","' not in result.stdout, "descriptions may contain commas"
        (folder / f"script.{shell}").write_text(result.stdout)
    return folder


BEFORE = {
    "bash": (["--noprofile", "--norc", "-i"], "bind 'set bell-style none'; PS1='> '; source {0}/script.bash\n"),
    "zsh": (["-f", "-i"], "PS1='> '; autoload -Uz compinit; compinit -u -D; source {0}/script.zsh\n"),
    "fish": (["--no-config", "-i"], "function fish_prompt; echo '> '; end; source {0}/script.fish\n"),
}
"""By shell: its options without the user's own settings, and what its file of settings would have."""
CONTROLLED = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execvp(sys.argv[1], sys.argv[1:])
"""
"""Start a program whose controlling terminal is its standard input, as fish and job control need."""


class Typist:
    """Types into a shell on a terminal, and reads what it shows."""

    def __init__(self, shell: str, program: Path, folder: Path) -> None:
        import pty  # only on POSIX

        options, before = BEFORE[shell]
        self.handle, secondary = pty.openpty()
        environment = {
            "PATH": f"{program}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": os.pathsep.join(sys.path),
            "HOME": str(folder),
            "TERM": "xterm",
            "LC_ALL": "C.UTF-8",
        }
        self.child = subprocess.Popen(
            [sys.executable, "-c", CONTROLLED, shell, *options],
            cwd=folder,
            env=environment,
            stdin=secondary,
            stdout=secondary,
            stderr=secondary,
            start_new_session=True,
        )
        os.close(secondary)
        self.type(before.format(program) + "echo rea''dy\n", "ready")

    def type(self, text: str, until: str, limit_s: float = 60) -> str:
        """Type a text; return what is shown, up to and with `until`."""
        os.write(self.handle, text.encode())
        shown, deadline = "", time.monotonic() + limit_s
        while until not in shown:
            assert select.select([self.handle], [], [], max(0, deadline - time.monotonic()))[0], shown
            try:
                shown += os.read(self.handle, 65536).decode(errors="replace").replace("\r", "")
            except OSError:
                pytest.fail(f"the shell ended: {shown}")
        return shown

    def close(self) -> None:
        self.child.kill()
        self.child.wait(60)
        os.close(self.handle)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell(shell: str, program: Path, here: Path) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"needs {shell}")
    typist = Typist(shell, program, here)
    try:
        typist.type("archdsl params resnet50_m\t", "archdsl params resnet50_monai")
    finally:
        typist.close()


def test_the_script_is_valid(program: Path) -> None:
    for shell in ("bash", "zsh", "fish"):
        assert complete.VARIABLE in (program / f"script.{shell}").read_text()
        if shutil.which(shell) is not None:
            subprocess.run([shell, "-n", str(program / f"script.{shell}")], check=True, timeout=60)
    assert get_completion_class("bash") is complete.Bash


# --- help ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("names", [[], *([name] for s in SECTIONS.values() for name in s), ["weights", "inspect"]])
def test_help_prints_what_the_option_prints(names: list[str]) -> None:
    runner = CliRunner()
    assert runner.invoke(main, ["help", *names]).stdout == runner.invoke(main, [*names, "--help"]).stdout


@pytest.mark.parametrize(
    ("names", "words"),
    [
        (["parms"], "there is no command 'parms'; did you mean `params`?"),
        (["params", "x"], "archdsl params has no commands; got 'x'"),
        (["weights", "foo"], "there is no command 'foo'; known: convert, inspect"),
    ],
)
def test_help_of_nothing(names: list[str], words: str) -> None:
    result = CliRunner().invoke(main, ["help", *names])
    assert (result.exit_code, result.stdout) == (2, "") and words in result.stderr
