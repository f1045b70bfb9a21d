"""What a job that paused by itself waits for, and what its user can type."""

from __future__ import annotations

RESUME = "Go on with `shelf resume {book}`."
DAY = "the budget of 2"
"""How the reason begins, after its code, where it is the cap of a day (`activities/budget.py`)."""

NEXT_STEPS = {
    "BudgetExhausted": "Raise the cap with `shelf budget raise {book} USD`: the job goes on by itself.",
    "CredentialsRefused": "Set the right key where the worker is started, then `shelf resume {book}`.",
    "NotServed": "Correct it in shelf.toml, then `shelf resume {book}`; or cancel, and name another model or provider.",
    "QuotaExhausted": "Raise the provider's quota or wait until it is renewed, then `shelf resume {book}`.",
    "ProviderFailing": "See what the provider says, then `shelf resume {book}`; or cancel, and read with another one.",
    "DiskFull": "Make room, then `shelf resume {book}`.",
}
"""By the code with which the reason begins."""


def next_step(book: str, reason: str) -> str:
    """How the job goes on."""
    code, _, said = reason.partition(": ")
    if code == "BudgetExhausted" and said.startswith(DAY):
        return f"Raise the cap of the day with `shelf budget raise --day USD`, or `shelf resume {book}` tomorrow."
    return NEXT_STEPS.get(code, RESUME).format(book=book)
