"""Log lines with trace, workflow, book and page: readable in a terminal, JSON elsewhere."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, TextIO

from schemas import telemetry
from schemas.errors import BadInput

FORMAT = "SHELF_LOG_FORMAT"
FACTS = ("workflow", "run", "book", "operation", "page", "activity", "attempt")
"""What a line may carry besides its message, in this order; where each comes from is in `telemetry.about`."""


def facts_of(record: logging.LogRecord) -> dict[str, Any]:
    """Trace, span and the facts of what was being done when the line was written."""
    trace, span = telemetry.current()
    found: dict[str, Any] = dict(telemetry.facts())
    # A workflow's own logger says which one it is.
    workflow: Mapping[str, Any] | None = getattr(record, "temporal_workflow", None)
    if workflow:
        found = {"workflow": workflow.get("workflow_id"), "run": workflow.get("run_id"), **found}
    return {
        **({"trace_id": trace, "span_id": span} if trace else {}),
        **{name: found[name] for name in FACTS if found.get(name) not in (None, "")},
    }


class JsonFormatter(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **facts_of(record),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


class TextFormatter(logging.Formatter):
    """For people: the message first, what it is about behind it."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s %(message)s")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  logging's name
        shown = {name: value for name, value in facts_of(record).items() if name not in ("span_id", "run", "attempt")}
        said = " ".join(f"{name}={value}" for name, value in shown.items())
        return super().formatMessage(record) + (f"  [{said}]" if said else "")


def configure(level: str = "INFO", stream: TextIO | None = None) -> None:
    """Log to stderr, in the format that `SHELF_LOG_FORMAT` names, else as suits where it goes.

    Raises BadInput for another format."""
    stream = stream or sys.stderr
    chosen = os.environ.get(FORMAT, "").lower() or ("text" if stream.isatty() else "json")
    if chosen not in ("text", "json"):
        raise BadInput(f"{FORMAT} is {chosen!r}.", "Use text or json.")
    handler = logging.StreamHandler(stream)
    handler.setFormatter(TextFormatter() if chosen == "text" else JsonFormatter())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    # One line per request of the database is no news.
    for name in ("httpx", "httpcore", "urllib3"):
        logging.getLogger(name).setLevel(logging.WARNING)
