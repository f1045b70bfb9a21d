"""After a service has answered and was paid: is this a reading of the page at all?

Vision models loop, make things up on empty pages, and stop in the middle; plain OCR services say nothing where they found
the picture too odd. What fails here is `BadOutput`, with what it cost: another provider may do better, the same would not.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from providers.errors import BadOutput
from providers.ink import ink_figures
from providers.ledger import Response
from providers.prices import Usage, call_price
from providers.queues import ProviderQueue
from providers.remote_image import PageImage
from schemas.reading import PageReading

REVISION = 1
"""Of the checks, part of the fingerprint."""

LOOP_WORDS = 40
"""Words of a repetition: a table may say "ditto" thirty times, and a chorus comes three times."""
LOOP_TURNS = 5
LONGEST_UNIT = 80
"""Words; loops of vision models repeat phrases, sentences, or a few lines."""
LETTER_AREA = 8.0
"""Square points: of the smallest print, a letter of 4 points. More letters do not fit on the page."""
LINE_LETTERS = 400
"""In a line of print; a newspaper's width at 6 points has 300."""
SPARE_LETTERS = 3000
"""May be print that `ink` does not count as lines: in pictures, on a tint (1,500 letters counted as 3 lines have been seen)."""
INK_LINES = 4
"""Lines of print that make an empty answer wrong: a picture may look like two."""

DARK = 100
"""Mean brightness, of 255, below which a page may be white on black, where lines cannot be counted."""


def accepted(
    row: ProviderQueue, page: PageReading, image: PageImage, usage: Usage, raw: bytes, what: str
) -> Response[PageReading]:
    """The response that the page came by. Raises BadOutput, its cost noted."""
    fault = page_fault(page, image)
    if fault:
        raise BadOutput(
            f"{row.name}'s answer on {what} is no reading of it: {fault}.",
            cost_usd=call_price(row, page.model, usage).usd,
            raw=raw,
            model=page.model,
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
        )
    return Response(page, usage, page.model, raw)


def page_fault(page: PageReading, image: PageImage) -> str:
    """What is wrong with a reading, judged by the page's picture; '' if nothing is."""
    print_lines = ink_figures(image.look, []).get("ink_lines", 0.0)
    if float(image.look.pixels.mean()) < DARK:
        return text_fault(page.text, page.width * page.height) if page.words else ""
    if not page.words:
        return f"it is empty, and there are about {print_lines:.0f} lines of print" if print_lines >= INK_LINES else ""
    return text_fault(page.text, page.width * page.height, print_lines)


def text_fault(text: str, page_area: float, print_lines: float | None = None) -> str:
    """What is wrong with the text of a page; '' if nothing is.

    Args:
        page_area: in square points.
        print_lines: that the picture shows, about; None = not known.
    """
    letters = sum(not character.isspace() for character in text)
    most = page_area / LETTER_AREA
    if print_lines is not None:
        most = min(most, SPARE_LETTERS + LINE_LETTERS * print_lines)
    if letters > most:
        return f"it has {letters} letters, and the page has room or print for {most:.0f}"
    found = loop(re.findall(r"\w+", text.casefold()))
    return f'it repeats "{found[0]}" {found[1]} times' if found else ""


def loop(words: Sequence[str]) -> tuple[str, int] | None:
    """(what is repeated, how often) where the same words follow one another LOOP_TURNS times and more, over LOOP_WORDS words.
    Columns of numbers are none."""
    for period in range(1, min(LONGEST_UNIT, len(words) // LOOP_TURNS) + 1):
        run = 0
        longest = max(LOOP_WORDS, LOOP_TURNS * period)
        for position in range(period, len(words)):
            run = run + 1 if words[position] == words[position - period] else 0
            if run + period >= longest:
                unit = words[position - period + 1 : position + 1]
                if any(word.isalpha() and len(word) > 1 for word in unit):
                    return " ".join(unit)[:80], _turns(words, position, period)
                run = 0
    return None


def _turns(words: Sequence[str], position: int, period: int) -> int:
    """How often the unit that ends at `position` comes in all, before and after."""
    first = last = position
    while first - period >= 0 and words[first] == words[first - period]:
        first -= 1
    while last + 1 < len(words) and words[last + 1] == words[last + 1 - period]:
        last += 1
    return (last - first) // period + 1
