"""The one table of providers: task queue, limits, retries, time-outs, batch size, price. `shelf.toml` overrides a row
(`[providers.tesseract] in_flight = 8`), or adds one (`[providers.mine] kind = "openai-compatible"`); worker, jobs,
command line, docs and tests read it.

A limit has three places (design §6): requests_per_second is given to the server with every poll (one partition, so
exact), in_flight is the worker's max_concurrent_activities, and a paid provider's own bucket spaces its calls
(`providers/ledger.py`). Local engines have no rate: their process pool is the limit.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Annotated, Any

from pydantic import Field, TypeAdapter, ValidationError

from schemas.errors import BadInput

WORKFLOW_QUEUE = "shelf"
"""Workflows, and the job's own activities (resolve, load, release)."""
STORE_QUEUE = "shelf-store"
"""Saves."""

LOCAL = "local"

Count = Annotated[int, Field(ge=1)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Usd = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Variable = Annotated[str, Field(pattern=r"^([A-Za-z_][A-Za-z0-9_]*)?$")]
"""What a setting may be. A rate of 0 would be none, and a price below 0 would fill budgets."""


@dataclass(frozen=True, slots=True)
class ProviderQueue:
    """One provider budget."""

    name: str
    queue: str
    in_flight: Count
    """Activities at once in one worker process; over a fleet: replicas times this."""
    page_timeout_seconds: Positive
    """Longest time for one page or one call; a local engine's process is killed after it."""
    batch_pages: Count = 1
    """Pages per activity where a call is cheap: a few seconds' worth. 1 for paid providers."""
    requests_per_second: Positive | None = None
    """None = no rate limit (local)."""
    max_attempts: Count = 3
    retry_initial_seconds: Positive = 1.0
    retry_maximum_seconds: Positive = 60.0
    reads_pages: bool = False
    """Whether it may be named by `--ocr`."""
    answers: bool = False
    """Whether it is a language model that may be named by `--llm`."""
    sees: bool = False
    """Whether its models look at page images, where they are asked as language models."""
    kind: str = LOCAL
    """Which adapter speaks to it (`providers/remote.py` has the list); 'local' = an engine in this process."""
    dialect: str = ""
    """Of an 'openai-compatible' service: whose differences count (`providers/openai_compatible.py`)."""
    base_url: str = ""
    """Address of the service; http only on this machine."""
    model: str = ""
    """Model that is asked where the job names none. Pinned: an alias may double its price overnight."""
    key_env: Variable = ""
    """Name of the environment variable of the worker that holds the key; '' = needs none."""
    region: str = ""
    free: bool = False
    """Declared free: a model on a machine of one's own. Never inferred from an unknown price."""
    usd_per_page: Usd | None = None
    """Overrides the price table, per page read."""
    usd_per_million_input: Usd | None = None
    usd_per_million_output: Usd | None = None
    """Override the price table, per million tokens."""
    max_image_bytes: Count = 7_000_000
    """Longest encoded image that the service takes."""
    max_image_side: Count = 4000
    """Longest side in pixels that the service looks at without shrinking it."""
    fallback: str = ""
    """Provider that takes over what this one fails at; '' = the page fails, or the job pauses."""
    failing_in_a_row: Count = 8
    """Failed pages one after the other (of a remote provider) after which the job pauses, or goes on with `fallback`."""

    @property
    def remote(self) -> bool:
        """Whether calls leave this process: they are limited, priced, and may be charged."""
        return self.kind != LOCAL

    @property
    def paid(self) -> bool:
        """Whether its calls may cost money."""
        return self.remote and not self.free


CORES = os.cpu_count() or 1


def _remote(name: str, kind: str, *, in_flight: int = 8, timeout: float = 120, **rest: Any) -> ProviderQueue:
    return ProviderQueue(
        name,
        f"shelf-{name}",
        in_flight=in_flight,
        page_timeout_seconds=timeout,
        kind=kind,
        **{"max_attempts": 5, "retry_initial_seconds": 2.0, **rest},
    )


QUEUES: tuple[ProviderQueue, ...] = (
    # PyMuPDF facts of a leaf: a few milliseconds each; looking at a scan takes 50.
    ProviderQueue("pdf", "shelf-pdf", in_flight=2, page_timeout_seconds=30, batch_pages=50),
    ProviderQueue(
        "text-layer", "shelf-text-layer", in_flight=2, page_timeout_seconds=30, batch_pages=25, reads_pages=True
    ),
    # One more than engine processes, so that no process waits for the next activity to be polled.
    # 8 pages are 5 to 8 s of one core at 300 dpi; a page's result is kept before the next page begins.
    ProviderQueue(
        "tesseract", "shelf-tesseract", in_flight=CORES + 1, page_timeout_seconds=120, batch_pages=8, reads_pages=True
    ),
    # About 1 GB of memory and 3 core-seconds a page: low concurrency, single pages.
    ProviderQueue("rapidocr", "shelf-rapidocr", in_flight=2, page_timeout_seconds=180, batch_pages=1, reads_pages=True),
    ProviderQueue("vote", "shelf-vote", in_flight=2, page_timeout_seconds=60, batch_pages=25),
    ProviderQueue("rules", "shelf-rules", in_flight=4, page_timeout_seconds=120, batch_pages=50),
    # Whole books: 300 pages take seconds, 5,000 some minutes and a few hundred MB.
    ProviderQueue("structure", "shelf-structure", in_flight=1, page_timeout_seconds=1800),
    ProviderQueue(
        "scripted",
        "shelf-scripted",
        in_flight=8,
        page_timeout_seconds=30,
        batch_pages=4,
        retry_initial_seconds=0.2,
        reads_pages=True,
    ),
    # Paid, or on a machine of one's own. One page, one call. Rates stay well below what each service documents.
    _remote(
        "mistral",
        "mistral-ocr",
        in_flight=10,
        requests_per_second=6,
        base_url="https://api.mistral.ai",
        model="mistral-ocr-4-1",
        key_env="MISTRAL_API_KEY",
        reads_pages=True,
    ),
    # 1800 requests a minute for each project.
    _remote(
        "google-vision",
        "google-vision",
        in_flight=10,
        requests_per_second=20,
        base_url="https://vision.googleapis.com",
        model="DOCUMENT_TEXT_DETECTION",
        key_env="GOOGLE_VISION_API_KEY",
        reads_pages=True,
    ),
    # 15 a second with the polls; the address is the user's own resource.
    _remote(
        "azure-document-intelligence",
        "azure-document-intelligence",
        requests_per_second=10,
        model="prebuilt-read",
        key_env="AZURE_DOCUMENT_INTELLIGENCE_KEY",
        reads_pages=True,
    ),
    _remote(
        "textract",
        "textract",
        requests_per_second=5,
        model="DetectDocumentText",
        key_env="AWS_ACCESS_KEY_ID",
        region="us-east-1",
        reads_pages=True,
    ),
    _remote(
        "anthropic",
        "anthropic",
        in_flight=4,
        timeout=300,
        requests_per_second=2,
        base_url="https://api.anthropic.com",
        model="claude-haiku-5-5",
        key_env="ANTHROPIC_API_KEY",
        reads_pages=True,
        answers=True,
        sees=True,
    ),
    _remote(
        "openrouter",
        "openai-compatible",
        dialect="openrouter",
        timeout=300,
        requests_per_second=5,
        base_url="https://openrouter.ai/api/v1",
        key_env="OPENROUTER_API_KEY",
        reads_pages=True,
        answers=True,
        sees=True,
    ),
    _remote(
        "openai",
        "openai-compatible",
        dialect="openai",
        timeout=300,
        requests_per_second=5,
        base_url="https://api.openai.com/v1",
        key_env="OPENAI_API_KEY",
        reads_pages=True,
        answers=True,
        sees=True,
    ),
    _remote(
        "deepinfra",
        "openai-compatible",
        dialect="deepinfra",
        timeout=300,
        requests_per_second=10,
        base_url="https://api.deepinfra.com/v1/openai",
        model="allenai/olmOCR-2-7B-1025",
        key_env="DEEPINFRA_TOKEN",
        reads_pages=True,
        answers=True,
        sees=True,
    ),
    # On a machine of one's own: declared free, one page after the other unless configured.
    *(
        _remote(
            name,
            "openai-compatible",
            dialect=name,
            in_flight=in_flight,
            timeout=600,
            base_url=base_url,
            free=True,
            reads_pages=True,
            answers=True,
            sees=True,
        )
        for name, in_flight, base_url in (
            ("vllm", 16, "http://127.0.0.1:8000/v1"),
            ("ollama", 1, "http://127.0.0.1:11434/v1"),
            ("lmstudio", 1, "http://127.0.0.1:1234/v1"),
            ("llamacpp", 1, "http://127.0.0.1:8080/v1"),
        )
    ),
)


def is_set_up(row: ProviderQueue, configured: Collection[str]) -> bool:
    """Whether a worker with this environment serves it unasked: an engine of its own, a service with a key, or one of which
    the user has set something (`configured`)."""
    return not row.remote or row.name in configured or bool(row.key_env and os.environ.get(row.key_env))


FURTHER_SECRETS = ("AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "GOOGLE_OAUTH_ACCESS_TOKEN")
"""Variables with credentials that no row's `key_env` names."""


def key_variables(overrides: Mapping[str, Mapping[str, Any]] | None = None) -> set[str]:
    """Names of the environment variables where adapters look for credentials, and for who pays. Raises BadInput."""
    rows = provider_queues(overrides).values()
    return {row.key_env for row in rows} - {""} | {*FURTHER_SECRETS, "GOOGLE_CLOUD_PROJECT"}


NAME = re.compile(r"[a-z][a-z0-9-]{0,40}")


def provider_queues(overrides: Mapping[str, Mapping[str, Any]] | None = None) -> dict[str, ProviderQueue]:
    """The table by provider name, after the user's overrides and additions.

    Raises BadInput for a provider or a setting that does not exist, or a value that is no number."""
    table = {row.name: row for row in QUEUES}
    names = {field.name for field in fields(ProviderQueue)} - {"name"}
    for provider, values in (overrides or {}).items():
        unknown = set(values) - names
        if unknown:
            raise BadInput(
                f"[providers.{provider}] has no setting {', '.join(sorted(unknown))}.",
                f"Known: {', '.join(sorted(names))}.",
            )
        base = table[provider] if provider in table else _added(provider, values, table)
        try:
            # Values from the environment are strings.
            table[provider] = TypeAdapter(ProviderQueue).validate_python({**asdict(base), **values})
        except ValidationError as error:
            first = error.errors()[0]
            raise BadInput(f"[providers.{provider}] {first['loc'][0]} is wrong: {first['msg']}.") from None
    for row in table.values():
        _check(row, table)
    return table


def _check(row: ProviderQueue, table: Mapping[str, ProviderQueue]) -> None:
    """What no value says by itself. Raises BadInput."""
    if row.remote and row.batch_pages != 1:
        raise BadInput(
            f"[providers.{row.name}] batch_pages is {row.batch_pages}: a service is asked for one page at a time, so that "
            "each is limited, paid and repeated alone.",
            "Leave it out; in_flight is how many are asked for at once.",
        )
    if row.retry_maximum_seconds < row.retry_initial_seconds:
        raise BadInput(
            f"[providers.{row.name}] retry_maximum_seconds ({row.retry_maximum_seconds:g}) is less than "
            f"retry_initial_seconds ({row.retry_initial_seconds:g}).",
            "Set both.",
        )
    if (row.usd_per_million_input is None) is not (row.usd_per_million_output is None):
        missing = "usd_per_million_input" if row.usd_per_million_input is None else "usd_per_million_output"
        raise BadInput(f"[providers.{row.name}] has half a price: {missing} is missing.", "Set both, or neither.")
    chain = [row.name]
    while following := table[chain[-1]].fallback:
        if following not in table:
            raise BadInput(
                f"[providers.{chain[-1]}] fallback names {following!r}, which is no provider.",
                f"Known: {', '.join(sorted(table))}.",
            )
        if following in chain:
            # A page that nobody can read would go round for ever, paid for each time.
            raise BadInput(
                f"The fallback of {chain[-1]} goes back to where it came from: {' → '.join([*chain, following])}.",
                f"Take one out, or let an engine of your own be the last: [providers.{chain[-1]}] fallback.",
            )
        chain.append(following)


def _added(provider: str, values: Mapping[str, Any], table: Mapping[str, ProviderQueue]) -> ProviderQueue:
    """A row of the user's own, from the row that speaks to the same kind of service."""
    kind = values.get("kind")
    if kind is None:
        raise BadInput(
            f"There is no provider {provider!r}.",
            f"Known: {', '.join(sorted(table))}. A new one needs a kind: "
            f"{', '.join(sorted({row.kind for row in QUEUES if row.remote}))}.",
        )
    if not NAME.fullmatch(provider):
        raise BadInput(
            f"[providers.{provider}] is no name for a provider.", "Use small letters, digits and hyphens, at most 41."
        )
    dialect = str(values.get("dialect", ""))
    like = next((row for row in QUEUES if row.kind == kind and row.dialect == dialect), None)
    if like is not None:
        return replace(like, name=provider, queue=f"shelf-{provider}")
    if kind == "openai-compatible":
        # The plain protocol, as far as all of its servers agree.
        return _remote(provider, kind, timeout=300, reads_pages=True, answers=True, sees=True)
    # A kind that a plugin brings; `providers/remote.py` refuses one that nobody does.
    return _remote(provider, str(kind), reads_pages=True)
