"""The command line: a table of commands, each in a file of its own that is loaded when it is called.

Exit status, everywhere: 0 fine, 1 the spec (or the weights, the model, the image) is wrong, 2 wrong usage or an
environment that cannot do it, 130 interrupted.
"""

from __future__ import annotations

import gc
import io
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from keyword import iskeyword
from types import ModuleType
from typing import Any, NoReturn

import click

from archdsl.cli.console import Console, drop_stdout
from archdsl.cli.examples import epilog
from archdsl.cli.options import color_option
from archdsl.version import __version__

SECTIONS: dict[str, dict[str, str]] = {
    "Look at a network": {
        "list": "The networks of the library.",
        "params": "Layers, shapes, parameters, operations, memory.",
        "compare": "Several side by side, and as a chart.",
        "diagram": "Draw it: SVG, PDF, PNG, TeX, an interactive page, Mermaid, DOT.",
        "diff": "What changed between two networks.",
    },
    "Write one": {
        "check": "Say everything that is wrong with specs.",
        "explain": "What a code like E0412 means.",
        "expand": "The long form; with --flat, all that was inferred too.",
        "fmt": "The short form, as one writes it.",
        "schema": "The language's JSON Schema, for editors.",
        "import": "A spec from an ONNX file or a PyTorch module.",
    },
    "Make something of it": {
        "compile": "An ONNX file, PyTorch source, or weights.",
        "passes": "What each pass does to the network that is compiled.",
        "verify": "Hold what was made of it against it, node by node.",
        "predict": "Run it on images.",
        "bench": "How fast it runs, beside other ways of running it.",
    },
    "Around it": {
        "doctor": "What is installed, and what works.",
    },
}
"""Every command with its one line, so that `--help` need not load them. `archdsl.cli.<name>` holds it as `command`
(`import_`, a word of Python, with a line below)."""

_PLUGIN_LOADER = "pydantic.plugin._loader"
_INTERRUPTED, _PIPE_CLOSED = 130, 141
"""128 and the signal's number, as a shell reports a process that SIGINT or SIGPIPE ended."""


class Commands(click.Group):
    """A group whose commands are imported when called, and which turns every failure into a message and a status."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [name for section in SECTIONS.values() for name in section]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.list_commands(ctx):
            return None
        module = f"{cmd_name}_" if iskeyword(cmd_name) else cmd_name
        command: click.Command = import_module(f"archdsl.cli.{module}").command
        command.epilog = epilog(cmd_name)
        return command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        if args and not args[0].startswith("-") and args[0] not in self.list_commands(ctx):
            from archdsl.diagnostics import did_you_mean

            ctx.fail(f"there is no command {args[0][:60]!r}; {did_you_mean(args[0], self.list_commands(ctx))}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        width = max(map(len, self.list_commands(ctx)))
        for title, commands in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([(name.ljust(width), line) for name, line in commands.items()])

    def invoke(self, ctx: click.Context) -> Any:
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
            return result
        except BrokenPipeError:  # click would make it status 1, a wrong spec
            drop_stdout()
            return _PIPE_CLOSED

    def main(self, *args: Any, **extra: Any) -> NoReturn:
        console = Console()
        alone = not args and extra.get("args") is None
        if alone:
            _begin_process()
        with _reported(console):
            status = super().main(*args, **{**extra, "standalone_mode": False, "obj": console})
            if alone:
                gc.freeze()  # what is about to end need not be searched for garbage: a tenth of a short command's time
            sys.exit(status if isinstance(status, int) else 0)
        raise AssertionError("unreachable")


class _NoPlugins(ModuleType):
    """Stands in for the module that looks for pydantic's plugins: there are none.

    The real one imports `importlib.metadata`, a tenth of the time of a short command, even where plugins are switched
    off. Whoever asks for more of it than this gets the real one.
    """

    get_plugins = staticmethod(tuple)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        sys.modules.pop(self.__name__, None)
        return getattr(import_module(self.__name__), name)


def _begin_process() -> None:
    """What suits a process of one's own, most of whose time goes into starting."""
    _open_streams()
    for name in ("SIGTERM", "SIGHUP"):  # ends like an error: what was begun is taken away (SIGHUP is not Windows')
        if (number := getattr(signal, name, None)) is not None and signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, _ended)
    if "importlib.metadata" not in sys.modules:
        sys.modules.setdefault(_PLUGIN_LOADER, _NoPlugins(_PLUGIN_LOADER))
    os.environ.setdefault(
        "OPENBLAS_NUM_THREADS", "1"
    )  # numpy multiplies no matrices here; starting threads takes it 0.05 s
    gc.set_threshold(100_000, 20, 20)  # imports allocate much and free nothing
    if isinstance(sys.stdout, io.TextIOWrapper):  # a terminal that knows ASCII only gets escapes, not a traceback
        sys.stdout.reconfigure(errors="backslashreplace")


def _open_streams() -> None:
    """Something stands behind all three standard streams, else the next file that is opened would be taken for one.

    What was closed stays of no use: reading and writing fail, and messages are lost.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            with suppress(OSError):
                os.fstat(number)
                continue
            handle = os.open(os.devnull, (os.O_WRONLY, os.O_RDONLY, os.O_WRONLY)[number])
            setattr(sys, name, _stream(handle, number))


def _stream(handle: int, number: int) -> io.TextIOWrapper:
    raw = io.FileIO(handle, "r" if number == 0 else "w", closefd=False)
    buffer = io.BufferedReader(raw) if number == 0 else io.BufferedWriter(raw)
    return io.TextIOWrapper(buffer, encoding="utf-8", errors="replace")


def _ended(number: int, frame: object) -> NoReturn:
    signal.signal(number, signal.SIG_IGN)
    sys.exit(128 + number)


@contextmanager
def _reported(console: Console) -> Iterator[None]:
    """Turns what went wrong into a message and an exit status."""
    try:
        yield
    except click.ClickException as problem:
        problem.show()
        sys.exit(2)
    except (KeyboardInterrupt, click.Abort):
        sys.exit(_INTERRUPTED)
    except Exception as problem:
        sys.exit(_report(problem, console))


def _report(problem: Exception, console: Console) -> int:
    from archdsl.diagnostics import ArchError
    from archdsl.diagnostics.status import status_of

    if isinstance(problem, ArchError):
        console.tell(problem.diagnostics)
        return status_of(problem)
    if os.environ.get("ARCHDSL_DEBUG") == "1":
        import traceback

        traceback.print_exception(problem)
        return 2
    from archdsl.cli.failure import internal

    console.tell([internal(problem)])
    return 2


@click.group(
    "archdsl",
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=epilog("params"),
)
@click.version_option(__version__, prog_name="archdsl", message="%(prog)s %(version)s")
@color_option
def main() -> None:
    """Convolutional networks as YAML files: checked, counted, drawn, compiled, run.

    SPEC, wherever a command asks for one, is a file (vgg16.yaml), a variant of it (resnet50.yaml#resnet18), a network
    of the library (resnet18), or - for standard input.
    """


__all__ = ["main"]
