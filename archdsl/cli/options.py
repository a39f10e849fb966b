"""The options that commands share."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeVar

import click

from archdsl.cli import complete
from archdsl.cli.console import Console

F = TypeVar("F", bound=Callable[..., Any])

_ARG = re.compile(r"([A-Za-z][A-Za-z0-9_]*)\s*=\s*(\S.*)", re.ASCII | re.DOTALL)


class Choice(click.Choice[str]):
    """One of several names, listed in the help. Raises E0001 for another, as the library does."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        from archdsl.diagnostics.arguments import check_choice
        from archdsl.files.endings import REPORTS

        ends = (name for name in self.choices if value not in self.choices and f".{value}" in REPORTS.get(name, ()))
        value = next(ends, value)  # `md` is `markdown`, as in `-o table.md`
        check_choice(_parameter(param), value, map(str, self.choices))
        return str(value)


class Range(click.IntRange):
    """An integer from `min` to `max`, shown in the help. Raises E0002 for another, as the library does."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        from archdsl.diagnostics.arguments import check_range

        try:
            number = int(click.INT.convert(value, param, ctx))
        except click.BadParameter as problem:
            unit = " of millimetres" if param is not None and param.metavar == "MM" else ""
            raise click.BadParameter(
                f"{problem.message} Write a whole number{unit}, without a unit.", ctx, param
            ) from None
        check_range(_parameter(param), number, self.min or 0, self.max or 0)
        return number


def _parameter(param: click.Parameter | None) -> str:
    """The option's name without dashes, which is also the library's parameter."""
    if param is None:
        return "value"
    return max(param.opts, key=len).lstrip("-")


def _read_args(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    out: dict[str, str] = {}
    for value in values:
        match = _ARG.fullmatch(value.strip())
        if match is None:
            raise click.BadParameter(f"{value[:80]!r} is not NAME=VALUE, e.g. classes=3", ctx, param)
        if match[1] in out:
            raise click.BadParameter(f"{match[1]!r} is set twice", ctx, param)
        out[match[1]] = match[2]
    return out


def _set_color(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
    console = ctx.find_object(Console)
    if value is not None and console is not None:
        console.color = value  # type: ignore[assignment]


def _set_offline(ctx: click.Context, param: click.Parameter, value: bool) -> None:
    from archdsl.pretrained.release import offline, watching

    console = ctx.find_object(Console)
    ctx.with_resource(offline(value))
    ctx.with_resource(watching(console.progress if console is not None else None))


def weights_option(command: F) -> F:
    """Add the options `--weights` and `--offline`."""
    weights = click.option(
        "--weights",
        metavar="FILE|NAME",
        shell_complete=complete.files,
        help="Weights: a file, a folder of shards, or a name: torchvision:IMAGENET1K_V2.",
    )
    offline = click.option(
        "--offline",
        is_flag=True,
        expose_value=False,
        callback=_set_offline,
        help="Find weights with a name in the cache only.",
    )
    return weights(offline(command))


spec_argument = click.argument("spec", metavar="SPEC", shell_complete=complete.specs)
specs_argument = click.argument("specs", metavar="SPEC...", nargs=-1, required=True, shell_complete=complete.specs)

color_option = click.option(
    "--color",
    type=Choice(["auto", "always", "never"]),
    is_eager=True,
    expose_value=False,
    callback=_set_color,
    help="Use colours. auto: in a terminal, unless NO_COLOR is set.",
)


def named_values(names: tuple[str, ...], help: str) -> Callable[[F], F]:
    """Return an option that takes `NAME=VALUE` and may be repeated."""
    return click.option(*names, metavar="NAME=VALUE", multiple=True, callback=_read_args, help=help)


arg_option = named_values(("-a", "--arg", "args"), "Set an argument of the spec: -a classes=3. May be repeated.")

input_option = click.option("--input", "size", metavar="SIZE", help="Input size: 3x320x320, in place of that of SPEC.")

half_option = click.option(
    "--precision",
    type=Choice(["fp32", "fp16", "bf16"]),
    default="fp32",
    show_default=True,
    help="Number format in which a SPEC is compiled.",
)


def output_option(
    *endings: str, help: str = "Write to FILE; - means standard output.", required: bool = False
) -> Callable[[F], F]:
    """Return the option `-o`, which accepts names with these endings; without any, the library checks them."""

    def check(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
        from archdsl.files.endings import check_ending

        if endings:
            check_ending(value, endings)
        return value

    return click.option(
        "-o",
        "--output",
        metavar="FILE",
        required=required,
        callback=check,
        shell_complete=complete.files,
        help=help,
    )


force_option = click.option("--force", is_flag=True, help="Overwrite FILE even if archdsl did not write it.")


part_option = click.option(
    "--part", metavar="PLACE", help="Where in FILE the tensors are, if in several places: 'state_dict_ema'."
)
rename_option = click.option(
    "--rename",
    metavar="OLD=NEW",
    multiple=True,
    help="Rename a tensor or a path of FILE: 'head=fc'. @map.txt reads one rule a line. May be repeated.",
)
ignore_option = click.option(
    "--ignore", metavar="PATTERN", multiple=True, help="Tensors of FILE to leave out: 'loss.*'. May be repeated."
)


def reading_options(command: F) -> F:
    """Add the options that say how to read a weights file of another layout."""
    adapt = click.option(
        "--adapt-input",
        is_flag=True,
        help="Adapt filters for RGB to the input of SPEC: added, or repeated and scaled.",
    )
    return part_option(rename_option(ignore_option(adapt(command))))


disable_option = click.option(
    "--disable",
    metavar="PASS",
    multiple=True,
    shell_complete=complete.passes,
    help="Skip this pass; `archdsl passes` lists all. May be repeated.",
)


def format_option(*choices: str) -> Callable[[F], F]:
    """Return the option `--format`; the first choice is the default."""
    return click.option(
        "--format",
        "format",
        type=Choice(choices),
        default=choices[0],
        show_default=True,
        help="Output format.",
    )


def result_options(*formats: str) -> Callable[[F], F]:
    """Return a decorator that adds `--format`, `-o` and `--force`; the default format is that of FILE, or the first."""

    def choose(ctx: click.Context, param: click.Parameter, value: str | None) -> str:
        from archdsl.files.endings import REPORTS, format_of

        return format_of(ctx.params.get("output"), value, {name: REPORTS[name] for name in formats}) or formats[0]

    output = click.option(
        "-o",
        "--output",
        metavar="FILE",
        is_eager=True,  # the format depends on it
        shell_complete=complete.files,
        help="Write to FILE; - means standard output.",
    )
    help = f"Output format. Default: by FILE's ending, else {formats[0]}."
    format = click.option("--format", "format", type=Choice(formats), callback=choose, help=help)
    return lambda command: format(output(force_option(command)))
