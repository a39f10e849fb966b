"""Comparison of published figures with the computed ones, at the precision of the published figure.

`4.09G` allows a difference of 0.005 G, `138M` half a million; an integer without a suffix, `25,557,032`, must be exact.
Accuracies are printed and not checked.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from archdsl.analysis.count import Totals
from archdsl.diagnostics import Diagnostic
from archdsl.language.document import Claim

UNCHECKED = ("top1", "top5")
NO_REASON = "no other way of counting that archdsl knows gives this figure"
OR = "; or "
"""Between several reasons for a difference."""
_NUMBER = re.compile(r"(\d[\d,_]*)(?:\.(\d+))?\s*([kKMGTB%]?)", re.ASCII)
_POWER: dict[str, int] = {"": 0, "k": 3, "K": 3, "M": 6, "G": 9, "B": 9, "T": 12}


@dataclass(frozen=True, slots=True)
class Verdict:
    """One claim and the computed value, which is None if the claim cannot be checked."""

    claim: Claim
    true: int | None
    holds: bool
    reason: str | None = None
    """A probable reason for the difference (`reasons.likely`), "" if there is none; None: not searched for."""

    def __str__(self) -> str:
        """Return `params 138M (138,357,544)`: the claim, and the computed value if it is written differently."""
        name, true = f"{self.claim.name} {self.claim.text}", self.true
        if true is None:
            return f"{name} (unchecked)"
        if not self.holds:
            return f"{name} (differs: {true:,})"
        return name if self.claim.text in (str(true), f"{true:,}") else f"{name} ({true:,})"


def check_claims(claims: Iterable[Claim], totals: Totals) -> tuple[Verdict, ...]:
    """Compare every claim with the totals, in the order of the spec."""
    true = {
        "params": totals.params,
        "params_with_aux": totals.params + totals.aux_params,
        "macs": totals.macs,
        "depth": totals.depth,
    }
    return tuple(_checked(claim, true.get(claim.name)) for claim in claims)


def _checked(claim: Claim, true: int | None) -> Verdict:
    if claim.name in UNCHECKED or true is None:
        return Verdict(claim, None, True)
    return Verdict(claim, true, agrees(claim.text, true))


def agrees(text: str, true: int) -> bool:
    """Return whether `true` rounds to the written number. A percentage (`%`) is not a count and never agrees."""
    whole, fraction, suffix = _parts(text)
    if suffix == "%":
        return False
    # Both numbers times 10**len(fraction) are integers; the last written digit is then worth `unit`.
    unit: int = 10 ** _POWER[suffix]
    difference = abs(int(whole + fraction) * unit - true * 10 ** len(fraction))
    return difference == 0 if not suffix and not fraction else bool(2 * difference <= unit)


def amount(text: str) -> float:
    """Return the value of a written number: 4.09e9 for `4.09G`."""
    whole, fraction, suffix = _parts(text)
    power: int = 10 ** _POWER.get(suffix, 0)
    return int(whole + fraction) * power / float(10 ** len(fraction))


def is_truncated(text: str, true: int) -> bool:
    """Return whether the written number is `true` without its further digits: `3.8G` for 3.86 G."""
    whole, fraction, suffix = _parts(text)
    unit = 10 ** _POWER[suffix] if suffix != "%" else 0
    return unit > 1 and int(whole + fraction) == true * 10 ** len(fraction) // unit


def formatted_as(text: str, true: int) -> str:
    """Return the computed number in the format of the claim: `25.6M`; in full if it would have only zeros."""
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
    assert match is not None, "the schema accepts no other claim"
    return match[1].replace(",", "").replace("_", ""), match[2] or "", match[3]


def differences(verdicts: Sequence[Verdict]) -> tuple[Diagnostic, ...]:
    """Return E0902 for every wrong claim, or the note N0902 if the spec gives the reason in a `note`."""
    return tuple(_difference(v) for v in verdicts if not v.holds)


def _difference(verdict: Verdict) -> Diagnostic:
    claim, true = verdict.claim, verdict.true
    assert true is not None
    right = formatted_as(claim.text, true)
    rounded = "" if right in (str(true), f"{true:,}") else " at this precision"
    notes = (f"claimed by {claim.source}",) if claim.source else ()
    certainty = "possible" if OR in (verdict.reason or "") else "likely"
    likely = (f"{certainty}: {verdict.reason}",) if verdict.reason else ()
    percentage = claim.text.endswith("%")
    if claim.note:
        message = f"`{claim.name}` is published as {claim.text}; it is {true:,}"
        return Diagnostic("N0902", message, claim.span, "known to differ", "note", notes=(*notes, claim.note, *likely))
    message = f"`{claim.name}` is claimed to be {claim.text}; it is {true:,}"
    label = "a percentage is not a count" if percentage else f"{right}{rounded}"
    if not likely and not percentage:
        likely = ("`archdsl check --why` searches for the reason" if verdict.reason is None else NO_REASON,)
    help = f"write `{right}`; if {claim.text} was published, add the reason: `{{value: {claim.text}, note: ...}}`"
    return Diagnostic("E0902", message, claim.span, label, notes=(*notes, *likely), help=help)
