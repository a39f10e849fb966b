"""The options that commands share."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeVar

import click

from archdsl.cli.console import Console

F = TypeVar("F", bound=Callable[..., Any])

_ARG = re.compile(r"([A-Za-z][A-Za-z0-9_]*)\s*=\s*(\S.*)", re.ASCII | re.DOTALL)


class Choice(click.Choice[str]):
    """One of several names, which help and completion show. The library's check reports a wrong one: E0001."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        from archdsl.diagnostics.arguments import check_choice

        check_choice(_parameter(param), value, map(str, self.choices))
        return str(value)


class Range(click.IntRange):
    """An integer from `min` to `max`, which help shows. The library's check reports a wrong one: E0002."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        from archdsl.diagnostics.arguments import check_range

        number = int(click.INT.convert(value, param, ctx))
        check_range(_parameter(param), number, self.min or 0, self.max or 0)
        return number


def _parameter(param: click.Parameter | None) -> str:
    """The name of an option without its dashes: that of the parameter of the library."""
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
            raise click.BadParameter(f"{match[1]!r} is given twice", ctx, param)
        out[match[1]] = match[2]
    return out


def _set_color(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
    console = ctx.find_object(Console)
    if value is not None and console is not None:
        console.color = value  # type: ignore[assignment]


spec_argument = click.argument("spec", metavar="SPEC")

color_option = click.option(
    "--color",
    type=Choice(["auto", "always", "never"]),
    is_eager=True,
    expose_value=False,
    callback=_set_color,
    help="Colours; auto: in a terminal, unless NO_COLOR is set.",
)


def named_values(name: str, help: str) -> Callable[[F], F]:
    """An option for values by name, `NAME=VALUE`, that may be repeated."""
    return click.option(name, metavar="NAME=VALUE", multiple=True, callback=_read_args, help=help)


arg_option = click.option(
    "-a",
    "--arg",
    "args",
    metavar="NAME=VALUE",
    multiple=True,
    callback=_read_args,
    help="Set an argument of the spec: -a classes=3. May be repeated.",
)

input_option = click.option("--input", "size", metavar="SIZE", help="Another input size: 3x320x320.")

half_option = click.option(
    "--precision",
    type=Choice(["fp32", "fp16", "bf16"]),
    default="fp32",
    show_default=True,
    help="What the network of a SPEC computes in.",
)

output_option = click.option("-o", "--output", metavar="FILE", help="Write to FILE; - is standard output.")

force_option = click.option("--force", is_flag=True, help="Replace FILE whatever it is.")


disable_option = click.option(
    "--disable",
    metavar="PASS",
    multiple=True,
    help="Leave a pass out; `archdsl passes` names them. May be repeated.",
)


def format_option(*choices: str) -> Callable[[F], F]:
    """`--format`, the first choice the default."""
    return click.option(
        "--format",
        "format",
        type=Choice(choices),
        default=choices[0],
        show_default=True,
        help="What to print.",
    )
