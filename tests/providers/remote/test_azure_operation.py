"""Azure's two steps: what was submitted is asked for again, and never submitted twice."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import pairwise

import pytest

from providers.azure_document_intelligence import OPERATION
from providers.errors import (
    BadOutput,
    Connection,
    CredentialsRefused,
    NotServed,
    Overloaded,
    ProviderError,
    RateLimited,
    Rejected,
    ServerError,
)
from providers.ledger import Ledger
from tests.providers.remote.conftest import Desk
from tests.providers.remote.ocr_services import PAGE
from tests.providers.remote.server import after, garbage, hung_up, json_answer, slow

Desks = Callable[..., Desk]
NAME = "azure-document-intelligence"
TEXT = "\n".join(line.text for line in PAGE)


async def test_submits_once_and_asks_until_it_is_read(desks: Desks) -> None:
    desk = desks(NAME)
    desk.service.polls = 3
    assert (await desk.read()).page.text == TEXT
    assert [entry.request.method for entry in desk.server.log] == ["POST", "GET", "GET", "GET", "GET"]
    assert desk.server.log[0].request.query == {"api-version": "2024-11-30"}
    assert desk.server.log[1].request.query == {"api-version": "2024-11-30"}
    (note,) = await desk.notes()
    assert note["cost_usd"] == desk.server.charged_usd == 0.0015


async def test_a_failed_look_never_submits_again(desks: Desks) -> None:
    desk = desks(NAME)
    failures = (
        (desk.service.errors["server error"], ServerError),
        (after(desk.service.errors["rate limited"], 0.1), RateLimited),
        (desk.service.errors["overloaded"], Overloaded),
        (hung_up(), Connection),
        (garbage(), ServerError),
        (desk.service.errors["refused key"], CredentialsRefused),
    )
    for answer, kind in failures:
        desk.server.script(answer, method="GET")
        with pytest.raises(kind) as failed:
            await desk.read()
        assert failed.value.cost_usd == 0.0, "looks cost nothing"
        await asyncio.sleep(0.15)  # the pause that the service asked for
    assert (await desk.read()).page.text == TEXT
    assert desk.paid_requests == 1
    (note,) = await desk.notes()
    assert note["outcome"] == "ok"


async def test_who_dies_between_submission_and_note_does_not_lose_the_operation(
    desks: Desks, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = desks(NAME)

    async def killed(*args: object) -> None:
        raise asyncio.CancelledError

    # The ledger's note is written after `send`: the worker is gone before that.
    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "_note", killed)
        with pytest.raises(asyncio.CancelledError):
            await desk.read()
    assert (await desk.read()).page.text == TEXT
    assert desk.paid_requests == 1
    (note,) = await desk.notes()
    assert note["outcome"] == "unknown", "the operation is there, but no note says what it cost"


async def test_an_operation_that_has_expired_is_said_and_submitted_anew(desks: Desks) -> None:
    desk = desks(NAME)
    desk.service.polls, desk.service.retry_after = 10_000, "0.3"
    with pytest.raises(ServerError, match="has not finished page 7 of a-day within"):
        await desk.read(timeout_seconds=2.0)
    desk.service.operations.clear()
    with pytest.raises(
        ServerError, match=r"no longer has the result of page 7 of a-day.*paid in vain.*anew"
    ) as expired:
        await desk.read()
    assert not expired.value.permanent
    desk.service.polls = 0
    assert (await desk.read()).page.text == TEXT
    assert desk.paid_requests == 2
    assert [note["outcome"] for note in await desk.notes()] == ["ok", "ok"]


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ({"code": "InternalServerError", "message": "An unexpected error occurred."}, ServerError),
        (
            {"code": "InvalidRequest", "message": "…", "innererror": {"code": "InvalidContent", "message": "…"}},
            Rejected,
        ),
    ],
)
async def test_an_operation_that_failed_is_not_asked_again(
    desks: Desks, error: dict[str, object], kind: type[ProviderError]
) -> None:
    desk = desks(NAME)
    desk.server.script(None, lambda request: json_answer({"status": "failed", "error": error}))
    with pytest.raises(kind) as failed:
        await desk.read()
    assert type(failed.value) is kind
    assert await desk.ledgers[-1].recall(OPERATION) == ""
    assert (await desk.read()).page.text == TEXT
    assert desk.paid_requests == 2


async def test_the_key_goes_to_no_other_host(desks: Desks) -> None:
    desk = desks(NAME)
    desk.service.elsewhere = "https://evil.example.org"
    with pytest.raises(NotServed, match=r"evil\.example\.org") as refused:
        await desk.read()
    assert refused.value.cost_usd == desk.server.charged_usd == 0.0015
    assert len(desk.server.log) == 1


async def test_after_a_change_of_address_the_old_resource_is_not_asked(desks: Desks) -> None:
    desk = desks(NAME)
    desk.server.script(desk.service.errors["overloaded"], method="GET")
    with pytest.raises(Overloaded):
        await desk.read()
    await desk.ledgers[-1].remember(OPERATION, "https://old.example.org/documentintelligence/x?api-version=1")
    assert (await desk.read()).page.text == TEXT
    assert desk.paid_requests == 2


async def test_an_acceptance_without_an_operation_may_have_been_charged(desks: Desks) -> None:
    desk = desks(NAME)
    desk.server.script(json_answer({}, 202))
    with pytest.raises(ServerError, match="Operation-Location") as lost:
        await desk.read()
    assert lost.value.cost_usd is None


async def test_it_looks_as_often_as_the_service_says(desks: Desks) -> None:
    desk = desks(NAME)
    desk.service.polls, desk.service.retry_after = 2, "0.3"
    await desk.read()
    looks = [entry for entry in desk.server.log if entry.request.method == "GET"]
    assert all(b.arrived - a.arrived >= 0.3 for a, b in pairwise(looks))


async def test_a_slow_look_ends_with_the_page_s_time(desks: Desks) -> None:
    desk = desks(NAME)
    desk.server.script(slow(json_answer({"status": "running"}), 2.5), method="GET")
    with pytest.raises(Connection) as late:
        await desk.read(timeout_seconds=1.2)
    assert late.value.cost_usd == 0.0
    assert desk.paid_requests == 1


async def test_looks_that_fail_over_and_over_fail_the_page_and_a_retry_looks_again(desks: Desks) -> None:
    """They are no paid calls, so nothing else counts them."""
    desk = desks(NAME, max_attempts=3)
    desk.server.script(*[desk.service.errors["server error"]] * 3, method="GET")
    permanent = []
    for _ in range(3):
        with pytest.raises(ServerError) as failed:
            await desk.read()
        permanent.append(failed.value.permanent)
    assert permanent == [False, False, True]
    assert (await desk.read()).page.text == TEXT
    assert desk.paid_requests == 1


async def test_operations_that_fail_are_not_paid_for_without_end(desks: Desks) -> None:
    desk = desks(NAME, max_attempts=3)
    failed = json_answer({"status": "failed", "error": {"code": "InternalServerError", "message": "x"}})
    desk.server.script(*[failed] * 3, method="GET")
    for last in (False, False, True):
        with pytest.raises(ServerError) as error:
            await desk.read()
        assert error.value.permanent is last
    assert desk.paid_requests == 3


async def test_a_result_of_another_shape_is_bad(desks: Desks) -> None:
    desk = desks(NAME)
    desk.server.script(json_answer({"status": "succeeded", "analyzeResult": {"pages": [17]}}), method="GET")
    with pytest.raises(BadOutput, match="documented shape") as bad:
        await desk.read()
    assert bad.value.cost_usd == 0.0, "the submission is noted"
