"""What a call costs: by what its response says, else by dated prices, else nobody knows (None, never 0).

Sources, in this order: the response itself; the user's own figures (`usd_per_page`, ... of the provider's row); our table of
dated prices (`providers/prices.toml`); genai-prices, whose table lies in its wheel: nothing is fetched. Each price says
where it is from and of what day it is. A model is priced by the name that the response gives it and by the day of the call,
so an alias that was moved to a dearer model costs what that one costs.

Before a call, its cost is estimated (`estimate`): exactly where pages are priced, from a table of tokens where tokens are.
"""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from fnmatch import fnmatchcase
from importlib.metadata import version
from pathlib import Path
from urllib.parse import urlsplit

from providers.queues import QUEUES, ProviderQueue

TABLE = Path(__file__).with_suffix(".toml")

GENAI_PROVIDERS = {"mistral-ocr": "mistral", "anthropic": "anthropic", "openrouter": "openrouter", "openai": "openai"}
"""Service -> what genai-prices calls it; any other is looked up by its address."""


@dataclass(frozen=True, slots=True)
class Usage:
    """What a call used, as its response says; None where it says nothing."""

    pages: int | None = None
    input_tokens: int | None = None
    """All of them, those read from or written to a cache included."""
    output_tokens: int | None = None
    """All of them, those of reasoning included."""
    cached_tokens: int | None = None
    """Of the input: read from the provider's cache."""
    cost_usd: float | None = None
    """What the response itself says that it cost."""


@dataclass(frozen=True, slots=True)
class Price:
    """USD, or None where nobody knows; and where the figure is from, with its date."""

    usd: float | None
    source: str


@dataclass(frozen=True, slots=True)
class CostRange:
    """What a call is expected to cost, in USD."""

    low: float
    expected: float
    high: float


@dataclass(frozen=True, slots=True)
class ListedPrice:
    """An entry of `prices.toml`."""

    service: str
    model: str
    since: date
    source: str
    checked: date
    usd_per_page: float | None = None
    usd_per_million_input: float | None = None
    usd_per_million_output: float | None = None


FREE = Price(0.0, "declared free")
UNKNOWN = Price(None, "no price is known")


def call_price(row: ProviderQueue, model: str, usage: Usage, at: date | None = None) -> Price:
    """The price of one call, by its usage. `at`: the day of the call in UTC, today by default."""
    if not row.paid:
        return FREE
    if usage.cost_usd is not None:
        return Price(usage.cost_usd, "the response")
    day = at or datetime.now(UTC).date()
    own = _total(usage, row.usd_per_page, row.usd_per_million_input, row.usd_per_million_output)
    if own is not None:
        return Price(own, f"[providers.{row.name}], {day}")
    listed = _listed(row, model, day)
    if listed is not None:
        usd = _total(usage, listed.usd_per_page, listed.usd_per_million_input, listed.usd_per_million_output)
        if usd is not None:
            return Price(usd, f"{listed.source}, {listed.checked}")
    return _by_genai_prices(row, model, usage, day)


def _total(
    usage: Usage, per_page: float | None, per_million_input: float | None, per_million_output: float | None
) -> float | None:
    """USD at these rates; None where they do not fit the usage."""
    if per_page is not None and usage.pages is not None:
        return _cents(per_page * usage.pages)
    if per_million_input is None or per_million_output is None:
        return None
    if usage.input_tokens is None or usage.output_tokens is None:
        return None
    return _cents((usage.input_tokens * per_million_input + usage.output_tokens * per_million_output) / 1e6)


def _cents(usd: float) -> float:
    """Without the dust of binary fractions: 3 pages at $0.0015 cost 0.0045."""
    return round(usd, 10)


def service_of(row: ProviderQueue) -> str:
    """Whose prices count: the kind; of an OpenAI-compatible service the row of ours with its address, '' where there is none.

    What a row is called or how it speaks says nothing about who sends the bill, except of our own rows."""
    if row.kind != "openai-compatible":
        return row.kind
    for ours in QUEUES:
        if ours.kind == row.kind and (ours.name == row.name or _host(ours) == _host(row)):
            return ours.name
    return ""


def _host(row: ProviderQueue) -> str:
    return urlsplit(row.base_url).netloc


@functools.cache
def _table() -> tuple[ListedPrice, ...]:
    entries = tomllib.loads(TABLE.read_text(encoding="utf-8"))["price"]
    return tuple(ListedPrice(since=entry.pop("from", date.min), **entry) for entry in entries)


def _listed(row: ProviderQueue, model: str, day: date) -> ListedPrice | None:
    service = service_of(row)
    found = [
        entry
        for entry in _table()
        if entry.service == service
        and fnmatchcase((model or row.model).lower(), entry.model.lower())
        and entry.since <= day
    ]
    return max(found, key=lambda entry: entry.since, default=None)


def _by_genai_prices(row: ProviderQueue, model: str, usage: Usage, day: date) -> Price:
    import genai_prices  # 0.5 s and 20 MB, and of use only where something is paid
    from genai_prices.data_snapshot import get_snapshot

    asked = genai_prices.Usage(
        input_tokens=usage.input_tokens,
        output_tokens=usage.output_tokens,
        cache_read_tokens=usage.cached_tokens,
        input_document_pages=usage.pages,
    )
    service = service_of(row)
    try:
        found = get_snapshot().calc(
            asked,
            model or row.model,
            GENAI_PROVIDERS.get(service),
            None if service in GENAI_PROVIDERS else row.base_url,
            datetime(day.year, day.month, day.day, 12, tzinfo=UTC),
        )
    except (LookupError, ValueError):
        return UNKNOWN
    prices = found.model_price
    by_page = usage.pages is not None and getattr(prices, "input_document_kpages", None) is not None
    by_token = None not in (usage.input_tokens, usage.output_tokens, prices.input_mtok, prices.output_mtok)
    if not by_page and not by_token:
        # It adds up what it has prices for; what it has none for would count as 0.
        return UNKNOWN
    return Price(_cents(float(found.total_price)), f"genai-prices {version('genai-prices')}, {day}")


# Estimates ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Span:
    """A number that is not known before: low, expected, high."""

    low: float
    expected: float
    high: float


TEXT_TOKENS = Span(300, 480, 1800)
"""Of a page's text. Three books (a novel, a manual, a guideline) have 1,680, 1,570 and 2,560 characters a page, their empty
pages included; an encyclopedia has 6,000. A token is 4 characters of English, 3 of German or French."""

CHARACTERS_PER_TOKEN = Span(4.6, 4.0, 2.8)
"""For texts whose length is known; the low cost has the long tokens."""

IMAGE_TOKENS: tuple[tuple[str, Span], ...] = (
    # width * height / 750, shrunk to 1568 pixels first: at most about 1,600. Models that look at 2576 pixels: 4,784.
    ("claude", Span(1200, 1600, 4784)),
    # 258 a tile of 768 pixels, 4 to 6 tiles; Gemini 3 has 1,120 at its usual resolution, 2,240 at the highest.
    ("gemini", Span(1032, 1120, 2240)),
    # 32-pixel patches, at most 1,536, times 1.62 (mini) or 2.46 (nano); tiles of 512 pixels: 630 to 1,105.
    ("gpt", Span(630, 1100, 3780)),
    # olmOCR is given pages of 1288 pixels, one token per 28 x 28: 46 x 31 for a page of 2 : 3, 46 x 46 for a square one.
    ("olmocr", Span(1200, 1430, 2116)),
    # One token per 28 (2 and 2.5) or 32 pixels squared, of what it is given.
    ("qwen", Span(1200, 2000, 6000)),
    # DeepSeek-OCR shows a page as 256 (base) to 800 (tiles) tokens.
    ("deepseek-ocr", Span(256, 400, 1000)),
)
"""Model family (found in the model's name) -> tokens of a page's image."""
ANY_IMAGE = Span(800, 1500, 5000)


@dataclass(frozen=True, slots=True)
class Conversation:
    """What one call of an operation says and hears. The prompts are those in `activities/*/prompt.py`, their schemas and the
    lines around the texts counted in."""

    prompt: float
    """Tokens of the instructions, the schema included."""
    texts: Span
    """Texts of pages that are sent."""
    images: Span
    """Images of pages that are sent, to a model that sees."""
    answer: Span
    """Tokens that come back, besides whole texts."""
    answered_texts: Span = Span(0, 0, 0)
    """Texts of pages that come back."""
    seconds: float = 8.0
    """Typical; most of it is the answer, at 50 to 100 tokens a second."""
    whole_scope: bool = False
    """The texts of all pages in its scope are sent."""


CONVERSATIONS: dict[str, Conversation] = {
    # A prompt of 800 characters and the image; the text comes back, with front matter or without.
    "ocr": Conversation(190, Span(0, 0, 0), Span(1, 1, 1), Span(10, 30, 100), Span(1, 1, 1.5), seconds=10),
    # The text by numbered lines, then each of several readings; most pages have one. A correction is 45 tokens of JSON, a page
    # that was read well needs none to five; a hopeless one comes back as a whole.
    "blend": Conversation(550, Span(1, 1.1, 4), Span(1, 1, 1), Span(25, 150, 1200), Span(0, 0, 1), seconds=5),
    # The whole text by head, middle and foot; a number and a header come back.
    "label_read": Conversation(330, Span(1, 1, 1), Span(1, 1, 1), Span(18, 25, 60), seconds=2),
    # The first 20 pages; the pictures of title and copyright page.
    "metadata": Conversation(650, Span(10, 18, 20), Span(1, 2, 3), Span(120, 300, 1200), seconds=6, whole_scope=True),
    # A shortlist of up to six pages, with their pictures.
    "toc_find": Conversation(450, Span(1, 3, 6), Span(1, 3, 6), Span(60, 130, 400), seconds=5),
    # One to ten pages of contents. An entry is 40 tokens of JSON; a collection has six of them, most books 15 to 40.
    "toc_extract": Conversation(700, Span(1, 2, 10), Span(1, 2, 10), Span(80, 1000, 8000), seconds=15),
}
"""Operations that a model may do. A repair turn is another call."""

OCR_SECONDS = 2.5
"""A page at a service that only reads (answers of 1 to 4 s are usual)."""


def estimate(
    row: ProviderQueue,
    model: str,
    operation: str = "ocr",
    characters: float | None = None,
    pages: int | None = None,
    at: date | None = None,
) -> CostRange | None:
    """What one call will cost; None = nobody knows.

    Args:
        model: the one that is asked; '' = the row's.
        operation: one of CONVERSATIONS; what is priced by pages costs the same for any.
        characters: of a page's text, where it is known; by default that of a usual page.
        pages: that the call reads at most, where it is known; of a book with ten pages no more can be sent.
    """
    if not row.paid:
        return CostRange(0.0, 0.0, 0.0)
    model = model or row.model
    by_page = call_price(row, model, Usage(pages=1), at).usd
    if by_page is not None and operation == "ocr":
        return CostRange(by_page, by_page, by_page)
    costs = [call_price(row, model, usage, at).usd for usage in _usages(row, model, operation, characters, pages)]
    known = [cost for cost in costs if cost is not None]
    return CostRange(*known) if len(known) == len(costs) else None


def high_estimate(row: ProviderQueue, model: str, operation: str = "ocr") -> float | None:
    """USD that one call may cost at most, for reservations and for calls of unknown outcome; None = nobody knows."""
    found = estimate(row, model, operation)
    return None if found is None else found.high


def call_seconds(row: ProviderQueue, model: str, operation: str) -> float:
    """Typical seconds of one call of a remote provider."""
    if operation == "ocr" and not row.answers:
        return OCR_SECONDS
    return CONVERSATIONS[operation].seconds


@dataclass(frozen=True, slots=True)
class Rates:
    """What a provider charges by, in USD; all None where nobody knows."""

    usd_per_1000_pages: float | None
    usd_per_million_input: float | None
    usd_per_million_output: float | None
    source: str


def rates(row: ProviderQueue, model: str = "", at: date | None = None) -> Rates:
    """The rates of a model, the row's by default. Of prices that grow with the length of a question the first."""

    def thousand(usage: Usage) -> Price:
        price = call_price(row, model or row.model, usage, at)
        return Price(None if price.usd is None else _cents(price.usd * 1000), price.source)

    pages = thousand(Usage(pages=1))
    if pages.usd is not None:
        return Rates(pages.usd, None, None, pages.source)
    tokens_in, tokens_out = (thousand(Usage(input_tokens=n, output_tokens=1000 - n)) for n in (1000, 0))
    return Rates(None, tokens_in.usd, tokens_out.usd, tokens_in.source)


def _usages(
    row: ProviderQueue, model: str, operation: str, characters: float | None, pages: int | None
) -> Iterable[Usage]:
    """Low, expected, high."""
    talk = CONVERSATIONS[operation]
    image = next((span for family, span in IMAGE_TOKENS if family in model.lower()), ANY_IMAGE)
    sees = row.sees or operation == "ocr"
    for level in ("low", "expected", "high"):
        text = getattr(TEXT_TOKENS, level)
        if characters is not None:
            text = characters / getattr(CHARACTERS_PER_TOKEN, level)
        texts = float(getattr(talk.texts, level))
        images = float(getattr(talk.images, level)) if sees else 0.0
        if pages is not None:
            texts = float(pages) if talk.whole_scope else min(texts, pages) if pages > 1 else texts
            images = min(images, pages)
        sent = talk.prompt + texts * text + images * getattr(image, level)
        back = getattr(talk.answer, level) + getattr(talk.answered_texts, level) * text
        yield Usage(input_tokens=round(sent), output_tokens=round(back))
