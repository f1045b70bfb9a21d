"""A provider's log beside what Shelf reports of it: every call, one by one."""

from __future__ import annotations

import base64
import hashlib
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime

from activities.work import LOST
from schemas.documents import Metric
from tests.providers.remote.ocr_services import PrintedLine
from tests.providers.remote.server import Entry

CLOCKS_SECONDS = 0.25
"""Between our note of a call and its arrival by the server's clock; calls of a page are further apart (a failed one waits)."""

UNKNOWN = ("slow", "half", "garbage", "hung up")
"""Notes of answers after which nobody knows whether they were charged."""


def seal(image: bytes) -> str:
    """A word that stands for a picture."""
    return f"seal{hashlib.sha256(image).hexdigest()[:12]}"


def sealed(image: bytes) -> Sequence[PrintedLine]:
    """What a service reads of a page whose picture the test wants to know again."""
    return [
        PrintedLine("The same lines stand on every page,", (0.1, 0.1, 0.9, 0.13)),
        PrintedLine(seal(image), (0.1, 0.15, 0.6, 0.18)),
    ]


def differences(log: Sequence[Entry], calls: Sequence[Metric], pages: Mapping[int, str], price_usd: float) -> list[str]:
    """Where the two do not agree: a request that no Metric reports, a Metric of a call that never came, another outcome or
    another cost than the server's.

    Args:
        calls: Metrics of attempts at the provider.
        pages: physical page -> the seal of its picture.
        price_usd: of a page; also the high estimate of a call of unknown outcome.
    """
    wall = time.time() - time.monotonic()
    sent: dict[str, list[Entry]] = defaultdict(list)
    for entry in log:
        sent[_seal_of(entry)].append(entry)
    made: dict[int, list[Metric]] = defaultdict(list)
    for call in calls:
        (page,) = call.pages or []
        made[page].append(call)

    wrong = [f"requests with a picture of no page: {name}" for name in sent.keys() - set(pages.values())]
    for page, name in sorted(pages.items()):
        entries = sorted(sent[name], key=lambda entry: entry.arrived)
        metrics = sorted(made[page], key=lambda metric: str(metric.at))
        begins = [datetime.fromisoformat(str(metric.at)).timestamp() - CLOCKS_SECONDS for metric in metrics]
        arrived = [entry.arrived + wall for entry in entries]
        if arrived and (not begins or arrived[0] < begins[0]):
            wrong.append(f"page {page}: a request before the first that is reported")
        for number, metric in enumerate(metrics):
            end = begins[number + 1] if number + 1 < len(begins) else float("inf")
            mine = [entry for entry, at in zip(entries, arrived, strict=True) if begins[number] <= at < end]
            fault = _fault(metric, mine, price_usd)
            if fault:
                wrong.append(f"page {page}, call {number + 1} of {len(metrics)} ({metric.outcome}): {fault}")
    return wrong


def _fault(metric: Metric, entries: Sequence[Entry], price_usd: float) -> str:
    lost = LOST in (metric.error or "")
    if len(entries) > 1 or (not entries and not lost):
        return f"{len(entries)} requests"
    if metric.outcome == "unknown":
        if metric.cost_usd != price_usd:
            return f"reported at {metric.cost_usd}, not at the high estimate"
        # Whoever died may have been answered in any way, or may not have asked at all.
        return "" if lost or entries[0].note in UNKNOWN else f"the server's answer arrived: {entries[0].note}"
    (entry,) = entries
    if entry.note in UNKNOWN:
        return f"what became of it cannot be known: {entry.note}"
    if (metric.outcome == "ok") is not (entry.status == 200):
        return f"the server answered {entry.status}"
    return "" if metric.cost_usd == entry.charge_usd else f"{metric.cost_usd} reported, {entry.charge_usd} charged"


def _seal_of(entry: Entry) -> str:
    return seal(base64.b64decode(str(entry.request.json["document"]["image_url"]).partition(",")[2]))
