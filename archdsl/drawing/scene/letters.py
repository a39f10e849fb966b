"""The characters of a drawing in LaTeX, and those that a format cannot show."""

from __future__ import annotations

from collections.abc import Iterable
from unicodedata import decomposition, name, normalize

from archdsl.report.text import visible

_MATH = """
\u2217 ast \u22c5 cdot \u00b7 cdot \u00d7 times \u00f7 div \u00b1 pm \u2213 mp \u221a surd \u221e infty \u2032 prime
\u2264 leq \u2265 geq \u2260 neq \u2248 approx \u2261 equiv \u223c sim \u221d propto \u226a ll \u226b gg
\u2208 in \u2209 notin \u222a cup \u2229 cap \u2282 subset \u2286 subseteq \u2205 emptyset \u2200 forall \u2203 exists
\u2202 partial \u2207 nabla \u2211 sum \u220f prod \u222b int \u2295 oplus \u2297 otimes \u2299 odot \u2218 circ
\u2190 leftarrow \u2192 rightarrow \u2191 uparrow \u2193 downarrow \u2194 leftrightarrow \u21d2 Rightarrow
\u21d4 Leftrightarrow \u00ac neg \u2227 wedge \u2228 vee \u2022 bullet \u2020 dagger \u2021 ddagger
""".split()
_ALPHABET = *range(0x391, 0x3A2), *range(0x3A3, 0x3AA), *range(0x3B1, 0x3CA)
_GREEK = {c: name(c).removeprefix("GREEK ").split(" LETTER ") for c in map(chr, _ALPHABET)}
_LATIN = "ALPHA A BETA B EPSILON E ZETA Z ETA H IOTA I KAPPA K MU M NU N OMICRON O RHO P TAU T CHI X".split()
_COMMANDS = {
    **dict(zip(_MATH[::2], _MATH[1::2], strict=True)),
    **{c: letter[1].lower().replace("lamda", "lambda") for c, letter in _GREEK.items() if letter[0] == "SMALL"},
    **{c: letter[1].title().replace("Lamda", "Lambda") for c, letter in _GREEK.items() if letter[0] == "CAPITAL"},
    "\u03c2": "varsigma",
}
"""Characters with a command of the same shape in LaTeX's mathematics: signs and Greek."""
_SPECIAL = {
    **{c: rf"\ensuremath{{{{\{command}}}}}" for c, command in _COMMANDS.items()},
    **{c: _LATIN[_LATIN.index(n[1]) + 1] for c, n in _GREEK.items() if n[0] == "CAPITAL" and n[1] in _LATIN[::2]},
    "\u03bf": "o",
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"{''}",
    "`": r"{`}",
    "'": r"{'}",
    "-": r"{-}",
    "\u00a0": "~",
    "\u00a1": r"{!`}",
    "\u00bf": r"{?`}",
    "\u00a7": r"\S{}",
    "\u00a9": r"\textcopyright{}",
    "\u00ae": r"\textregistered{}",
    "\u00b0": r"\ensuremath{{}^{\circ}}",
    "\u2010": r"{-}",
    "\u2011": r"{-}",
    "\u2013": r"\textendash{}",
    "\u2014": r"\textemdash{}",
    "\u2018": r"{`}",
    "\u2019": r"{'}",
    "\u201c": r"{``}",
    "\u201d": r"{''}",
    "\u2026": r"\ldots{}",
    "\u2044": "/",
    "\u2212": r"\ensuremath{-}",
}
"""Characters that are special in TeX or missing in the font's encoding."""
_LETTERS = frozenset(
    "ÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÑÒÓÔÕÖØÙÚÛÜÝàáâãäåæçèéêëìíîïñòóôõöøùúûüýÿßŒœŁłŠšŽžČčĆćŃńŚśŹźŽžŐőŰűĞğŞşİĎďĚěŇňŘřŤťŮů"
)
"""Letters beyond ASCII that LaTeX's default fonts contain."""
_MARKS = "\u0300\u0301\u0302\u0303\u0304\u0306\u0307\u0308\u030a\u030b\u030c\u0323\u0327"
_ACCENTS = dict(zip(_MARKS, "`'^~=u.\"rHvdc", strict=True))
"""Combining accents, and the commands that LaTeX has for them."""
_DOTLESS = {"i": r"\i", "j": r"\j"}
_AS_PARTS = {
    "<super>": r"\textsuperscript",
    "<sub>": r"\textsubscript",
    **dict.fromkeys(("<compat>", "<fraction>", "<wide>", "<narrow>", "<noBreak>"), ""),
}
"""Kinds of Unicode decompositions that a text may have instead of the character, and the command around the parts."""
_MOST = 8


def quote(text: str) -> str:
    """Escape a text for a TikZ node; characters that LaTeX's default fonts lack are written as `[U+XXXX]`."""
    return "".join(_quoted(c) or f"[U+{ord(c):04X}]" for c in normalize("NFC", visible(text)))


def not_in_tex(text: str) -> list[str]:
    """Return the characters of a text that `quote` writes as their numbers, each once."""
    return [c for c in dict.fromkeys(normalize("NFC", visible(text))) if "[U+" in (_quoted(c) or "[U+")]


def listed(characters: Iterable[str], lack: str, shown: str) -> str:
    """Return a note on characters that a picture lacks; empty if there are none."""
    names = [f"`{c}` (U+{ord(c):04X})" for c in characters]
    more = [f"{len(names) - _MOST} more"] if len(names) > _MOST else []
    return f"{lack} {', '.join([*names[:_MOST], *more])}: {shown}" if names else ""


def _quoted(c: str) -> str:
    """One character; empty if LaTeX's default fonts have neither it nor its parts."""
    if " " <= c <= "~" or c in _LETTERS or c in _SPECIAL:
        return _SPECIAL.get(c, c)
    tag, *codes = decomposition(c).split() or [""]
    if tag in _AS_PARTS:
        inner = quote("".join(chr(int(code, 16)) for code in codes))
        return f"{_AS_PARTS[tag]}{{{inner}}}" if _AS_PARTS[tag] else inner
    letter, mark = (chr(int(code, 16)) for code in (tag, *codes)) if len(codes) == 1 and tag[0] != "<" else ("", "")
    if not letter.isascii() or mark not in _ACCENTS:
        return ""
    return rf"\{_ACCENTS[mark]}{{{_DOTLESS.get(letter, letter)}}}"
