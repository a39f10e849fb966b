"""`archdsl solve`: the best setting of arguments within budgets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

from archdsl.cli import complete
from archdsl.cli.compare import where_option
from archdsl.cli.console import Console
from archdsl.cli.options import Choice, Range, arg_option, color_option, force_option, input_option, spec_argument
from archdsl.library.columns import COLUMNS, FIGURES

F = TypeVar("F", bound=Callable[..., Any])


def _budgets(command: F) -> F:
    """Add an option for the budget of each figure."""
    for name in reversed(FIGURES):
        help = f"Budget of {COLUMNS[name].title}: '<=N' or '>=N'. May be repeated."
        option = click.option(f"--{name.replace('_', '-')}", name, metavar="BUDGET", multiple=True, help=help)
        command = option(command)
    return command


def _numbers(ctx: click.Context, param: click.Parameter, value: str | None) -> tuple[float, ...]:
    numbers = tuple(float(click.FLOAT(word, param, ctx)) for word in value.split(",")) if value is not None else ()
    if value is not None and len(numbers) != 3:
        raise click.BadParameter(f"{value!r} is not three numbers, e.g. 1.2,1.1,1.15", ctx, param)
    return numbers


@click.command("solve")
@spec_argument
@click.option(
    "--over",
    metavar="NAME[=VALUES],...",
    multiple=True,
    help="Arguments to set: n=1..18,width=16..128/16. Without values: from min to max. May be repeated.",
)
@click.option("--maximise", type=Choice(FIGURES), help="The figure that is to be large.")
@_budgets
@where_option("A condition that must hold: 'peak < 64MiB or n > 3'. May be repeated.")
@click.option(
    "--scale",
    metavar="[PHI]",
    is_flag=False,
    flag_value="most",
    help="Scale the arguments marked with `scale` by PHI; without PHI, by the largest within the budgets.",
)
@click.option(
    "--coefficients",
    metavar="D,W,R",
    callback=_numbers,
    help="Factors of depth, width and resolution for PHI = 1. Default: 1.2,1.1,1.15.",
)
@arg_option
@input_option
@click.option(
    "--limit",
    type=Range(1, 1_000_000),
    default=10_000,
    show_default=True,
    help="Settings up to which all are counted; a larger search is monotone.",
)
@click.option(
    "--format",
    type=Choice(("table", "json", "markdown")),
    default="table",
    show_default=True,
    help="Output format.",
)
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    shell_complete=complete.files,
    help="Write the result as a spec that extends SPEC.",
)
@force_option
@color_option
@click.pass_obj
def command(
    console: Console,
    /,
    spec: str,
    over: tuple[str, ...],
    maximise: str | None,
    where: str | None,
    scale: str | None,
    coefficients: tuple[float, ...],
    args: dict[str, str],
    size: str | None,
    limit: int,
    format: str,
    output: str | None,
    force: bool,
    **budgets: tuple[str, ...],
) -> None:
    """Find the arguments for which a figure is largest within budgets, and the next better ones, which fail.

    All settings are counted, which proves the result. If there are more than the limit, the search assumes that figures
    grow with every argument, checks that on what it counts, and says so.
    """
    import archdsl
    from archdsl.files.atomic import check_target
    from archdsl.planning.scaling import Coefficients
    from archdsl.planning.solution import check_extends
    from archdsl.spec.open import parse_overrides

    if output not in (None, "-"):
        check_extends(spec, str(output))
        check_target(str(output), force=force)
    solution = archdsl.solve(
        spec,
        over=",".join(over) or None,
        budgets={name: values for name, values in budgets.items() if values},
        maximise=maximise,
        where=where,
        scale=_phi(scale),
        coefficients=coefficients or Coefficients(),
        args=parse_overrides(args),
        input=size,
        limit=limit,
        progress=console.progress("counting"),
    )
    if output == "-":
        console.write_output(solution.to_spec())
        return
    console.write_output(solution.text(format, console.style()))
    if output is not None:
        console.print_written(solution.write(output, force=force))


def _phi(text: str | None) -> bool | float | None:
    if text is None or text == "most":
        return None if text is None else True
    try:
        return float(text)
    except ValueError:
        raise click.BadParameter(f"{text!r} is not a number", param_hint="'--scale'") from None
