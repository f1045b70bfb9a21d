"""What a model answers that reads labels, held against the words of the page."""

from __future__ import annotations

from pydantic import BaseModel, Field
from rapidfuzz import fuzz

from providers.rules.numerals import Number, parse
from providers.rules.proposal import Candidate, Proposal
from schemas.reading import PageReading

SEEN = 0.8
"""Score of a number that is no candidate of the rules, but that the model saw (engines lose lone numbers in margins), or
that stands in an outer line."""
SURE = 1.0
"""Of one that stands among the candidates as well."""
DENIED = 0.3
"""Factor for candidates that the model did not name."""
SAME_HEADER = 85
MARGIN_LINES = 4
"""At the head and at the foot of a page: among them stand its number and header."""


class PageLabels(BaseModel):
    """A model's answer."""

    page_number: str | None = Field(description="As printed; null where none is.")
    running_header: str | None = Field(description="As printed; null where there is none.")


def problems(answer: PageLabels) -> list[str]:
    """Why the answer cannot be one."""
    if answer.page_number is not None and _number(answer.page_number) is None:
        return [f"page_number {answer.page_number!r} is no arabic, roman or composite number"]
    return []


def weighed(proposal: Proposal, answer: PageLabels, reading: PageReading, *, seen: bool) -> Proposal:
    """The rules' proposal with the model's say: a candidate that it names is sure, others hardly count; what it alone says is
    believed where it could see, or where an outer line has it. The book's sequence of numbers decides in the end (`label`).

    Args:
        reading: what the engines read of the page.
        seen: whether the model saw it.
    """
    number = _number(answer.page_number or "")
    named = number is not None and any(_same(each, number) for each in proposal.numbers)
    numbers = [
        each.model_copy(
            update={"score": SURE if number is not None and _same(each, number) else round(each.score * DENIED, 3)}
        )
        for each in proposal.numbers
    ]
    if number is not None and not named and (seen or _printed(number, reading)):
        numbers.insert(
            0,
            Candidate(
                text=(answer.page_number or "").strip(),
                style=number.style,
                prefix=number.prefix,
                value=number.value,
                upper=number.upper,
                place="bottom-center",
                score=SEEN,
            ),
        )
    headers = proposal.headers
    header = (answer.running_header or "").strip()
    if header:
        same = [each for each in headers if fuzz.ratio(each.text.casefold(), header.casefold()) >= SAME_HEADER]
        headers = (*same, *(each for each in headers if each not in same)) if same else headers
    elif answer.running_header is None and headers:
        # The first line of the text stands where a header would.
        headers = ()
    return proposal.model_copy(update={"numbers": tuple(numbers), "headers": headers})


def question(reading: PageReading) -> str:
    """The page as the model gets it: its outer lines tell, its text shows what recurs in it."""
    head, middle, foot = _parts([line.text for line in reading.lines])
    return "\n".join(["First lines:", *head, "", "Between them:", *middle, "", "Last lines:", *foot])


def _parts(lines: list[str]) -> tuple[list[str], list[str], list[str]]:
    """Head, middle and foot; a short page is divided between head and foot."""
    head = min(MARGIN_LINES, (len(lines) + 1) // 2)
    foot = max(head, len(lines) - MARGIN_LINES)
    return lines[:head], lines[head:foot], lines[foot:]


def _printed(number: Number, reading: PageReading) -> bool:
    head, _, foot = _parts([line.text for line in reading.lines])
    return any(
        _place(found) == _place(number)
        for line in (*head, *foot)
        for word in (line, *line.split())
        if (found := _number(word)) is not None
    )


def _same(candidate: Candidate, number: Number) -> bool:
    return (candidate.style, candidate.prefix, candidate.value) == _place(number)


def _place(number: Number) -> tuple[str, str, int]:
    """Among the book's numbers."""
    return number.style, number.prefix, number.value


def _number(text: str) -> Number | None:
    """As it is printed: a model's answer needs no letters taken for digits."""
    return next((each for each in parse(text) if not each.repaired), None)
