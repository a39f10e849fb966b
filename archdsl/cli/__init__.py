"""The command line: a table of commands, each in its own file, which is imported when the command runs.

Exit status of every command: 0 success, 1 the spec (or the weights, the model, the image) is wrong, 2 wrong usage or a
missing package or device, 130 interrupted.
"""

from __future__ import annotations

import errno
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
from click.shell_completion import CompletionItem

from archdsl.cli import complete
from archdsl.cli.console import Console, drop_stdout, stdout_failure
from archdsl.cli.help_examples import epilog
from archdsl.cli.options import color_option
from archdsl.version import __version__

SECTIONS: dict[str, dict[str, str]] = {
    "Inspect networks": {
        "list": "List the networks of the library.",
        "params": "Print layers, shapes, parameters, MACs and memory.",
        "compare": "Compare networks in a table or a chart.",
        "sweep": "Count every combination of values of arguments.",
        "solve": "Find the best arguments within budgets.",
        "diagram": "Draw a network: SVG, PDF, PNG, PPTX, TeX, HTML, Mermaid, draw.io.",
        "diff": "List the differences between two networks.",
    },
    "Write specs": {
        "check": "Report everything that is wrong with specs.",
        "fix": "Repair specs with the fixes of what `check` reports.",
        "watch": "Show the drawing of a spec while you edit it.",
        "explain": "Explain a code such as E0412.",
        "expand": "Print the long form; --flat adds all inferred values.",
        "fmt": "Rewrite specs in the short form.",
        "schema": "Print the JSON Schema of the language, for editors.",
        "import": "Convert an ONNX file or a PyTorch module to a spec.",
        "lsp": "Serve an editor: errors, shapes and completion while you type.",
    },
    "Compile, run, verify": {
        "compile": "Write an ONNX file, PyTorch source, or weights.",
        "bundle": "Write the folder of a server or a web page.",
        "passes": "List what each pass changes in an ONNX file.",
        "verify": "Compare every node with a float64 reference.",
        "predict": "Run a network on images.",
        "bench": "Measure latency, throughput and memory.",
        "weights": "Inspect, convert and match weights files.",
    },
    "Setup": {
        "doctor": "Report what is installed and what works.",
        "mcp": "Serve coding agents over the Model Context Protocol.",
        "completion": "Print the script that completes commands in a shell.",
        "help": "Print the help of a command.",
    },
}
"""Every command and its line in `archdsl --help`, which imports no command.

`archdsl.cli.<name>` defines `command`; the module of `import`, a Python keyword, is `import_`.
"""

_PLUGIN_LOADER = "pydantic.plugin._loader"
_INTERRUPTED, _PIPE_CLOSED = 130, 141
"""128 plus the signal number, as a shell reports a process ended by SIGINT or SIGPIPE."""


class Commands(click.Group):
    """A click group that imports a command when it is called, and turns every failure into a message and a status."""

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
        known = not args or args[0].startswith("-") or args[0] in self.list_commands(ctx)
        if not known and not ctx.resilient_parsing:
            from archdsl.diagnostics import did_you_mean

            ctx.fail(f"there is no command {args[0][:60]!r}; {did_you_mean(args[0], self.list_commands(ctx))}")
        return super().resolve_command(ctx, args)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem[Any]]:
        """Propose commands without importing them."""
        lines = {name: line for section in SECTIONS.values() for name, line in section.items()}
        commands = [CompletionItem(name, help=line) for name, line in lines.items() if name.startswith(incomplete)]
        return commands + click.Command.shell_complete(self, ctx, incomplete)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        width = max(map(len, self.list_commands(ctx)))
        for title, commands in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([(name.ljust(width), line) for name, line in commands.items()])

    def invoke(self, ctx: click.Context) -> Any:
        try:
            with _models_allowed(ctx.obj):
                result = super().invoke(ctx)
            sys.stdout.flush()
            return result
        except BrokenPipeError:  # click would make it status 1, a wrong spec
            drop_stdout()
            return _PIPE_CLOSED

    def main(self, *args: Any, **extra: Any) -> NoReturn:
        console = Console()
        own_process = not args and extra.get("args") is None
        if own_process:
            _set_up_process()
        with _failures_reported(console):
            settings = {"standalone_mode": False, "obj": console, "complete_var": complete.VARIABLE}
            status = super().main(*args, **{**extra, **settings})
            if own_process:
                gc.freeze()  # skips the last garbage collection: a tenth of a short command's time
            sys.exit(status if isinstance(status, int) else 0)
        raise AssertionError("unreachable")


@contextmanager
def _models_allowed(console: Console) -> Iterator[None]:
    """A run in which a SPEC may be a model; prints a note on each whose outputs were not compared."""
    from archdsl.spec.models import opened

    networks: list[Any] = []
    token = opened.set(networks)
    try:
        yield
    finally:
        opened.reset(token)
    if any(not network.model.carried and not network.model.compared for network in networks):
        from archdsl.diagnostics import Diagnostic

        message = "outputs not compared: this command needs no weights, so it did not run the model"
        console.print_diagnostics([Diagnostic("N0850", message, severity="note")])


class _NoPlugins(ModuleType):
    """Replace pydantic's plugin loader: there are no plugins.

    The real module imports `importlib.metadata`, even with plugins switched off: a tenth of a short command's time.
    Any other attribute is read from the real module.
    """

    get_plugins = staticmethod(tuple)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        sys.modules.pop(self.__name__, None)
        return getattr(import_module(self.__name__), name)


def _set_up_process() -> None:
    """Set signals, threads and streams for a process that runs one command and spends most of its time starting."""
    _open_streams()
    for name in ("SIGTERM", "SIGHUP"):  # end like an error, which removes temporary files (Windows has no SIGHUP)
        if (number := getattr(signal, name, None)) is not None and signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, _exit_on_signal)
    if "importlib.metadata" not in sys.modules:
        sys.modules.setdefault(_PLUGIN_LOADER, _NoPlugins(_PLUGIN_LOADER))
    # No command multiplies matrices in numpy, which would need 0.05 s to start its threads.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    gc.set_threshold(100_000, 20, 20)  # imports allocate much and free nothing
    if isinstance(sys.stdout, io.TextIOWrapper):  # an ASCII terminal gets escapes, not a traceback
        sys.stdout.reconfigure(errors="backslashreplace")


def _open_streams() -> None:
    """Open the null device for each closed standard stream.

    Otherwise the next file that is opened would get its number and receive its text. Reading from such a stream and
    writing to it still fail.
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


def _exit_on_signal(number: int, frame: object) -> NoReturn:
    signal.signal(number, signal.SIG_IGN)
    sys.exit(128 + number)


@contextmanager
def _failures_reported(console: Console) -> Iterator[None]:
    """Turn an exception into a message and an exit status."""
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

    if isinstance(problem, OSError) and problem.errno == errno.ENOSPC and problem.filename is None:
        problem = stdout_failure(problem)  # click's own texts: --help and --version
    if isinstance(problem, ArchError):
        console.print_diagnostics(problem.diagnostics)
        return status_of(problem)
    if os.environ.get("ARCHDSL_DEBUG") == "1":
        import traceback

        traceback.print_exception(problem)
        return 2
    from archdsl.cli.failure import internal

    console.print_diagnostics([internal(problem)])
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
    """Check, count, draw, compile and run convolutional networks written as YAML specs.

    SPEC is a file (vgg16.yaml), a variant in a file (resnet50.yaml#resnet18), a network of the library (resnet18), a
    model (net.onnx, or package.module:factory for a PyTorch module), or - for standard input.
    """


__all__ = ["main"]
