"""Regularisers that act in training only: dropout, droppath."""

from typing import Annotated, ClassVar, TypeAlias

from pydantic import Field

from archdsl.ops.base import Exact, Example, Look

Rate: TypeAlias = Annotated[float, Field(ge=0, lt=1)]


class _Regulariser(Exact):
    """Base of the regularisers, which do nothing at inference."""

    positional: ClassVar[tuple[str, ...]] = ("p",)
    look: ClassVar[Look] = "other"
    inference: ClassVar[bool] = False
    stored: ClassVar[bool] = False


class Dropout(_Regulariser):
    """Sets values to 0 with probability `p` in training, scaling the others by 1/(1-p).

    Shape: unchanged.
    Parameters: none.
    MACs: 0.
    Errors: none.
    Source: Srivastava et al. 2014.
    """

    name: ClassVar[str] = "dropout"
    example: ClassVar[Example] = Example("4096", "dropout 0.5")

    p: Rate = Field(0.5, description="probability that a value is dropped")


class DropPath(_Regulariser):
    """Stochastic depth: drops a whole branch, sample by sample, with probability `p` in training.

    Shape: unchanged.
    Parameters: none.
    MACs: 0.
    Errors: none.
    Source: Huang et al. 2016, arXiv 1603.09382.
    """

    name: ClassVar[str] = "droppath"
    example: ClassVar[Example] = Example("96x56x56", "droppath 0.1")
    elsewhere: ClassVar[str] = "stochasticdepth"

    p: Rate = Field(0.0, description="probability that the branch is dropped")
