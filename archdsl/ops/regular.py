"""Regularisers that act in training only: dropout, droppath."""

from typing import Annotated, ClassVar

from pydantic import Field

from archdsl.ops.base import Op

Rate = Annotated[float, Field(ge=0, lt=1)]


class Dropout(Op):
    """Sets values to 0 with probability `p` in training, scaling the others by 1/(1-p).

    Shape: unchanged.
    Parameters: none.
    MACs: 0.
    Errors: none.
    Source: Srivastava et al. 2014.
    """

    kind: ClassVar[str] = "dropout"
    positional: ClassVar[tuple[str, ...]] = ("p",)
    inference: ClassVar[bool] = False
    stored: ClassVar[bool] = False

    p: Rate = Field(0.5, description="probability of a value being dropped")


class DropPath(Op):
    """Stochastic depth: drops a whole branch, sample by sample, with probability `p` in training.

    Shape: unchanged.
    Parameters: none.
    MACs: 0.
    Errors: none.
    Source: Huang et al. 2016, arXiv 1603.09382.
    """

    kind: ClassVar[str] = "droppath"
    positional: ClassVar[tuple[str, ...]] = ("p",)
    inference: ClassVar[bool] = False
    stored: ClassVar[bool] = False

    p: Rate = Field(0.0, description="probability of the branch being dropped")
