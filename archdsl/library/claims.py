"""Published numbers held against the truth, at the precision they were written with.

`4.09G` allows 0.005 G, `138M` half a million; a whole number without a suffix, `25,557,032`, must be exact. Accuracies
cannot be checked here: they are carried and shown as such.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from archdsl.analysis.count import Totals
from archdsl.diagnostics import Diagnostic
from archdsl.language.document import Claim

UNCHECKED = ("top1", "top5")
_NUMBER = re.compile(r"(\d[\d,_]*)(?:\.(\d+))?\s*([kKMGTB%]?)", re.ASCII)
_POWER: dict[str, int] = {"": 0, "k": 3, "K": 3, "M": 6, "G": 9, "B": 9, "T": 12}


@dataclass(frozen=True, slots=True)
class Verdict:
    """One claim and what is true. `true` is None where it cannot be checked."""

    claim: Claim
    true: int | None
    holds: bool
    reason: str = ""
    """Why it probably differs (`reasons.likely`)."""

    def __str__(self) -> str:
        """`params 138M (138,357,544)`: what is claimed, and what is true if that is not the very same."""
        name, true = f"{self.claim.name} {self.claim.text}", self.true
        if true is None:
            return f"{name} (unchecked)"
        if not self.holds:
            return f"{name} (differs: {true:,})"
        return name if self.claim.text in (str(true), f"{true:,}") else f"{name} ({true:,})"


def judge(claims: Iterable[Claim], totals: Totals) -> tuple[Verdict, ...]:
    """Every claim, in the order written."""
    true = {
        "params": totals.params,
        "params_with_aux": totals.params + totals.aux_params,
        "macs": totals.macs,
        "depth": totals.depth,
    }
    return tuple(_judged(claim, true.get(claim.name)) for claim in claims)


def _judged(claim: Claim, true: int | None) -> Verdict:
    if claim.name in UNCHECKED or true is None:
        return Verdict(claim, None, True)
    return Verdict(claim, true, agrees(claim.text, true))


def agrees(text: str, true: int) -> bool:
    """Whether a number rounds to what was written of it. A share (`%`) is no count, and agrees with none."""
    whole, fraction, suffix = _parts(text)
    if suffix == "%":
        return False
    # Both sides times 10**len(fraction), so that all is whole: the last digit written is then worth `unit`.
    unit: int = 10 ** _POWER[suffix]
    difference = abs(int(whole + fraction) * unit - true * 10 ** len(fraction))
    return difference == 0 if not suffix and not fraction else bool(2 * difference <= unit)


def amount(text: str) -> float:
    """The number that was written: `4.09G` is 4.09e9."""
    whole, fraction, suffix = _parts(text)
    power: int = 10 ** _POWER.get(suffix, 0)
    return int(whole + fraction) * power / float(10 ** len(fraction))


def cut_off(text: str, true: int) -> bool:
    """Whether a number is what was written once its further digits are left out: `3.8G` of 3.86 G."""
    whole, fraction, suffix = _parts(text)
    unit = 10 ** _POWER[suffix] if suffix != "%" else 0
    return unit > 1 and int(whole + fraction) == true * 10 ** len(fraction) // unit


def alike(text: str, true: int) -> str:
    """The true number written as the claim is: `25.6M`; in full where that would be nothing but zeros."""
    _, fraction, suffix = _parts(text)
    if suffix in ("", "%") and not fraction:
        return f"{true:,}" if "," in text or true < 10_000 else str(true)
    scaled = true * 10 ** len(fraction)
    unit: int = 10 ** _POWER.get(suffix, 0)
    digits = str((2 * scaled + unit) // (2 * unit)).rjust(len(fraction) + 1, "0")
    if not digits.strip("0"):
        return str(true)
    point = len(digits) - len(fraction)
    return digits[:point] + ("." + digits[point:] if fraction else "") + suffix.replace("%", "")


def _parts(text: str) -> tuple[str, str, str]:
    match = _NUMBER.fullmatch(text.strip())
    assert match is not None, "the reader lets no other claim through"
    return match[1].replace(",", "").replace("_", ""), match[2] or "", match[3]


def differences(verdicts: Sequence[Verdict]) -> tuple[Diagnostic, ...]:
    """E0902 for every claim that does not hold; N0902, a note, where the spec itself says why in a `note`."""
    return tuple(_difference(v) for v in verdicts if not v.holds)


def _difference(verdict: Verdict) -> Diagnostic:
    claim, true = verdict.claim, verdict.true
    assert true is not None
    right = alike(claim.text, true)
    rounded = "" if right in (str(true), f"{true:,}") else " at this precision"
    notes = (f"claimed by {claim.source}",) if claim.source else ()
    likely = (f"likely: {verdict.reason}",) if verdict.reason else ()
    if claim.note:
        message = f"`{claim.name}` is published as {claim.text}; it is {true:,}"
        return Diagnostic("N0902", message, claim.span, "known to differ", "note", notes=(*notes, claim.note, *likely))
    message = f"`{claim.name}` is claimed to be {claim.text}; it is {true:,}"
    label = "a share is no count" if claim.text.endswith("%") else f"{right}{rounded}"
    help = f"write `{right}`; or, if it was published so, say why it differs: `{{value: {claim.text}, note: ...}}`"
    return Diagnostic("E0902", message, claim.span, label, notes=(*notes, *likely), help=help)
