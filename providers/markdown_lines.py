"""Plain lines from markdown, and places for them: services that read like people write like people, not like a page.

They mark headings and emphasis, rule tables, and give a paragraph's place at most, never a word's.
"""

from __future__ import annotations

import html
import math
import re
from collections.abc import Sequence

from providers.rapidocr import words_of_line
from schemas.reading import Box, Line

REVISION = 1
"""Raised when the same markdown gives other lines."""

LETTER_SHARE = 0.38
"""Width of a letter over the distance of lines, of running text in book faces (0.46 em over 1.2)."""
REFLOWED = 1.5
"""So many times more lines than were given must fit a paragraph's box before it is taken for reflowed."""
LINE_SHARE = 0.8
"""Height of a line's letters over the distance of lines."""

_RULE = re.compile(r"^\s*(?:[-_]\s*){3,}$|^\s*\|?\s*:?-{2,}:?\s*(?:\|\s*:?-{2,}:?\s*)*\|?\s*$")
_HEADING = re.compile(r"^\s{0,3}#{1,6}\s+(.*?)\s*#*\s*$")
_QUOTE = re.compile(r"^\s{0,3}(?:>\s?)+")
_BULLET = re.compile(r"^(\s*)[*+]\s+(?=[^\s*])")
_IMAGE = re.compile(r"!\[[^\]]*\]\([^)]*\)")
_LINK = re.compile(r"\[([^\]]+)\]\((?:[^()\s]|\([^)]*\))*\)")
_FOOTNOTE = re.compile(r"\[\^([^\]\s]+)\]:?")
_STRONG = re.compile(r"(\*\*\*|\*\*|___|__|~~|==)(?=\S)(.+?)(?<=\S)\1")
_EMPHASIS = re.compile(
    r"(?<![\w*])\*(?=[^\s*])([^*]+?)(?<=\S)\*(?![\w*])|(?<![\w_])_(?=[^\s_])([^_]+?)(?<=\S)_(?![\w_])"
)
_CODE = re.compile(r"(`+)(.+?)\1")
_MATHS = re.compile(r"\$\$(.+?)\$\$|\$(?=\S)([^$]+?)(?<=\S)\$(?!\d)", re.DOTALL)
_RAISED = re.compile(r"[\^_]\{([^{}]*)\}|\^(\w|\*)")
_COMMAND = re.compile(r"\\(?:text|textbf|textit|textsc|mathrm|mathbf|mathit|operatorname|emph)\s*\{([^{}]*)\}")
_ESCAPE = re.compile(r"\\([\\`*_{}\[\]()#+\-.!|<>~$&%^])")
_TAG = re.compile(r"</?[A-Za-z][^<>]*>|<!--.*?-->", re.DOTALL)
_BREAK = re.compile(r"<br\s*/?>|</(?:tr|p|div|li|h\d|table|thead|tbody)\s*>", re.IGNORECASE)
_CELL = re.compile(r"</(?:td|th)\s*>", re.IGNORECASE)
_PIPE = re.compile(r"(?<!\\)\|")


def plain_lines(markdown: str) -> list[str]:
    """The lines as they stand on the page, without markup: a table's row is a line, pictures are none, empty lines are left
    out. Signs that were escaped are there; what is no markup (asterisks between sections, 2 < 3) stays."""
    text = _BREAK.sub("\n", _CELL.sub(" ", markdown))
    lines = []
    fenced = False
    for line in text.splitlines():
        if re.match(r"^\s*(```|~~~)", line):
            fenced = not fenced
            continue
        if not fenced and _RULE.match(line):
            continue
        plain = " ".join((line if fenced else _unmarked(line)).split())
        if plain:
            lines.append(plain)
    return lines


def _unmarked(line: str) -> str:
    line = _QUOTE.sub("", line)
    if heading := _HEADING.match(line):
        line = heading[1]
    line = _BULLET.sub(r"\1• ", line)
    if len(_PIPE.findall(line)) >= 2 and line.strip()[:1] == "|":
        line = _PIPE.sub(" ", line)
    # What is escaped, code or formula is no markup: it is put aside until the markup is gone.
    line = _ESCAPE.sub(lambda found: _aside(found[1]), line)
    line = _IMAGE.sub(" ", line)
    line = _LINK.sub(r"\1", line)
    line = _FOOTNOTE.sub(r"\1", line)
    line = _CODE.sub(lambda found: _aside(found[2]), line)
    line = _MATHS.sub(lambda found: _aside(_formula(found[1] or found[2])), line)
    line = _TAG.sub("", line)
    for _ in range(2):
        line = _STRONG.sub(r"\2", line)
        line = _EMPHASIS.sub(lambda found: found[1] or found[2], line)
    return html.unescape("".join(chr(ord(sign) - 0xE000) if 0xE000 <= ord(sign) < 0xE080 else sign for sign in line))


def _aside(text: str) -> str:
    """ASCII moved to private characters, which no pattern knows."""
    return "".join(chr(0xE000 + ord(sign)) if sign < "\x80" else sign for sign in text)


def _formula(formula: str) -> str:
    """What of a formula is letters and signs: a footnote's raised number is the usual one."""
    formula = _COMMAND.sub(r"\1", formula)
    return _RAISED.sub(lambda found: found[1] if found[1] is not None else found[2], formula).strip()


def laid_out(lines: Sequence[str], box: Box, width: float, height: float, block: int = 0) -> tuple[list[Line], bool]:
    """Lines with places inside the box of their paragraph.

    A paragraph that came as one long line, its breaks forgotten, is broken again into as many lines as fit the box; lines
    are spaced evenly, and words share a line by the usual widths of letters.

    Args:
        box: shares of a picture, as are the boxes of the answer.
        width, height: of the picture, in any unit.

    Returns:
        the lines, and whether they had to be broken by guess.
    """
    x0, y0, x1, y1 = box
    across, down = max((x1 - x0) * width, 1e-6), max((y1 - y0) * height, 1e-6)
    letters = sum(len(line) for line in lines)
    if not letters:
        return [], False
    fitting = max(1, round(math.sqrt(LETTER_SHARE * down * letters / across)))
    reflowed = fitting >= REFLOWED * len(lines)
    if reflowed:
        lines = [part for line in lines for part in _broken(line, max(1, round(fitting * len(line) / letters)))]
    longest = max(len(line) for line in lines)
    pitch = (y1 - y0) / len(lines)
    found = []
    for number, line in enumerate(lines):
        top = y0 + (number + (1 - LINE_SHARE) / 2) * pitch
        right = x0 + (x1 - x0) * len(line) / longest
        words = words_of_line(line, 0.0, (x0, top, right, top + LINE_SHARE * pitch), ())
        for word in words:
            word.confidence = None
        found.append(Line(words, block))
    return found, reflowed


def _broken(line: str, count: int) -> list[str]:
    """A long line in `count` parts of about equal length, broken at blanks."""
    parts: list[list[str]] = [[] for _ in range(count)]
    at = 0
    for word in line.split():
        parts[min(count - 1, int((at + len(word) / 2) * count / max(1, len(line))))].append(word)
        at += len(word) + 1
    return [" ".join(part) for part in parts if part]
