"""A provider that does what a script says: for tests, of this program and of its users.

A script is a mapping, or a JSON file of it; everything is optional:

    {
      "book": "Moby-Dick",                 title in the default text; the leaf's book key if absent
      "languages": ["eng"],                others are LanguageMissing
      "in_flight": 2,                      more calls at once are RateLimited
      "per_second": 5,                     more calls within a second are RateLimited
      "retry_after_seconds": 0.5,          what those RateLimited say
      "delay_seconds": 0.01,               of every call
      "log": "calls.jsonl",                one line a call, appended; beside the script's file if relative
      "pages": {                           by physical page
        "7": {
          "text": "line\\nline",            "" is a blank page; absent is the default text
          "confidence": 61.5,              of its words; 95 if absent
          "delay_seconds": 2,
          "faults": [                      in order of the page's calls; then it succeeds
            {"error": "RateLimited", "retry_after_seconds": 2, "times": 3, "message": "slow down"},
            {"error": "hang"},             sleeps for the caller's time limit, then EngineCrashed
            {"error": "kill"},             SIGKILL to this very process: a worker that dies in the middle
            {"error": "Rejected", "times": -1}    for ever
          ]
        }
      }
    }

Errors are the names of the taxonomy in `providers/errors.py`. With a log, a page's calls are counted over all
processes that share it, so a script goes on where a killed worker stood; without, in this object.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections import Counter, deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from providers import errors
from providers.base import Reading
from providers.errors import EngineCrashed, ProviderError, RateLimited
from providers.source import LeafSource
from schemas.errors import BadInput, LanguageMissing
from schemas.reading import Line, PageReading, Word
from schemas.store import digest

NAME = "scripted"
WIDTH, HEIGHT = 432.0, 648.0
"""6 x 9 inches."""
BODY_LINES = 12

TAXONOMY: dict[str, type[ProviderError]] = {
    each.__name__: each
    for each in (
        errors.RateLimited,
        errors.Overloaded,
        errors.ServerError,
        errors.Connection,
        errors.QuotaExhausted,
        errors.Rejected,
        errors.BadOutput,
        errors.EngineCrashed,
    )
}


class ScriptedProvider:
    """`OcrProvider` by script: deterministic texts, scripted delays, errors, hangs, crashes and limits."""

    name = NAME

    def __init__(self, script: Mapping[str, Any] | Path | str | None = None, name: str = NAME) -> None:
        """Raises BadInput for a script that is no JSON object or names an unknown error."""
        self.name = name
        folder = Path()
        if isinstance(script, Path | str):
            folder = Path(script).parent
            script = _load(Path(script))
        self.script: Mapping[str, Any] = script or {}
        self._pages: Mapping[str, Mapping[str, Any]] = self.script.get("pages", {})
        for page, entry in self._pages.items():
            for fault in entry.get("faults", ()):
                if fault.get("error") not in {*TAXONOMY, "hang", "kill"}:
                    raise BadInput(
                        f"The script's page {page} has an unknown error {fault.get('error')!r}.",
                        f"Known: {', '.join([*TAXONOMY, 'hang', 'kill'])}.",
                    )
        self.log = folder / self.script["log"] if self.script.get("log") else None
        self._calls: Counter[int] = Counter()
        self._in_flight = 0
        self._recent: deque[float] = deque()

    def model(self, language: str) -> str:
        """Changes with the texts that are scripted, not with faults and delays. Raises LanguageMissing."""
        known = self.script.get("languages")
        missing = [part for part in language.split("+") if known is not None and part not in known]
        if missing:
            raise LanguageMissing(f"The script has no language {missing[0]!r}.", "Add it under 'languages'.")
        texts = {page: [entry.get("text"), entry.get("confidence")] for page, entry in self._pages.items()}
        return f"scripted {digest([self.script.get('book'), texts])[:8]}"

    def parameters(self) -> Mapping[str, object]:
        return {}

    async def read(self, leaf: LeafSource, language: str, timeout_seconds: float) -> Reading:
        """Read one page by the script. Raises what it says."""
        started = time.perf_counter()
        model = self.model(language)
        entry = self._pages.get(str(leaf.page), {})
        call = self._count(leaf.page)
        fault = _fault_of(entry, call)
        self._note(leaf, call, fault.get("error", "ok") if fault else "ok")
        self._in_flight += 1
        try:
            self._limit()
            await asyncio.sleep(entry.get("delay_seconds", self.script.get("delay_seconds", 0)))
            if fault is not None:
                await _fail(fault, leaf, timeout_seconds)
        finally:
            self._in_flight -= 1
        page = page_of_text(
            entry.get("text", default_text(leaf.page, self.script.get("book") or leaf.book or "a book")),
            provider=self.name,
            confidence=entry.get("confidence", 95.0),
        )
        page.model, page.language = model, language
        return Reading(page=page, execution_seconds=time.perf_counter() - started)

    async def warm(self) -> None:
        return None

    async def close(self) -> None:
        return None

    def calls(self) -> list[dict[str, Any]]:
        """The log: {"page", "call", "outcome", "book", "pid", "at"} of each call, in order of arrival."""
        if self.log is None or not self.log.exists():
            return []
        # A killed process may leave half a line.
        return [json.loads(line) for line in self.log.read_text().splitlines() if line.endswith("}")]

    def _count(self, page: int) -> int:
        """The number of this call of the page, from 1."""
        if self.log is not None:
            return 1 + len([line for line in self.calls() if line["page"] == page])
        self._calls[page] += 1
        return self._calls[page]

    def _note(self, leaf: LeafSource, call: int, outcome: str) -> None:
        if self.log is None:
            return
        record = {
            "page": leaf.page,
            "call": call,
            "outcome": outcome,
            "book": leaf.book,
            "pid": os.getpid(),
            "at": time.time(),
        }
        # One write in append mode, so lines of several processes never mix; on disk before a fault can kill us.
        descriptor = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            os.write(descriptor, json.dumps(record).encode() + b"\n")
        finally:
            os.close(descriptor)

    def _limit(self) -> None:
        wait = self.script.get("retry_after_seconds")
        if self._in_flight > self.script.get("in_flight", self._in_flight):
            raise RateLimited(f"{self._in_flight} calls at once", wait)
        now = time.monotonic()
        while self._recent and self._recent[0] <= now - 1:
            self._recent.popleft()
        if len(self._recent) >= self.script.get("per_second", len(self._recent) + 1):
            raise RateLimited(f"more than {self.script['per_second']} calls in a second", wait)
        self._recent.append(now)


def _load(path: Path) -> Mapping[str, Any]:
    try:
        script = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise BadInput(f"The script {path} cannot be read: {error}.", "It is a JSON object.") from error
    if not isinstance(script, dict):
        raise BadInput(f"The script {path} is no JSON object.", "See providers/scripted.py.")
    return script


def _fault_of(entry: Mapping[str, Any], call: int) -> Mapping[str, Any] | None:
    """The fault that a page's call meets, None if it succeeds."""
    for fault in entry.get("faults", ()):
        times = fault.get("times", 1)
        if times < 0 or call <= times:
            found: Mapping[str, Any] = fault
            return found
        call -= times
    return None


async def _fail(fault: Mapping[str, Any], leaf: LeafSource, timeout_seconds: float) -> None:
    kind = fault["error"]
    message = fault.get("message", f"scripted {kind} on page {leaf.page}")
    if kind == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if kind == "hang":
        await asyncio.sleep(timeout_seconds)
        raise EngineCrashed(f"{NAME} ran over its limit of {timeout_seconds:g} s on page {leaf.page}")
    raise TAXONOMY[kind](message, fault.get("retry_after_seconds"))


def default_text(page: int, book: str) -> str:
    """A page as a book would have it: running head and printed number in its first line, then a body that names it."""
    head = f"{page} {book.upper()}" if page % 2 == 0 else f"{book.upper()} {page}"
    body = [f"Page {page} of {book}."] + [
        f"This is line {number} of page {page}, and it says nothing else." for number in range(2, BODY_LINES + 1)
    ]
    return "\n".join([head, *body])


def page_of_text(text: str, provider: str = NAME, confidence: float | None = 95.0) -> PageReading:
    """A reading of lines of text, set in 10 points on a page of 6 x 9 inches: boxes follow from the letters' number."""
    page = PageReading(provider=provider, width=WIDTH, height=HEIGHT)
    y = 36.0
    for number, line in enumerate(text.split("\n")):
        x = 54.0
        words = []
        for token in line.split():
            width = 5.0 * len(token)
            words.append(Word(token, (x, y, x + width, y + 10.0), confidence))
            x += width + 4.0
        if words:
            page.lines.append(Line(words, block=0 if number == 0 else 1))
        y += 24.0 if number == 0 else 14.0  # below the running head there is more room
    return page
