"""What the user says about money and models: `--llm`, `--budget`, `--allow-unpriced`, as fields of a job's input."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

Money = tuple[Sequence[str] | None, float | None, bool]
"""What was typed after `--llm`, `--budget`, `--allow-unpriced`."""

NONE = "none"
"""In place of a model: by rules."""


def spending(llm: Sequence[str] | None, budget: float | None, allow_unpriced: bool) -> dict[str, Any]:
    """Fields of `SpendingInput` that were chosen. Raises BadInput."""
    from schemas.errors import BadInput

    if budget is not None and not 0 < budget < float("inf"):
        raise BadInput(f"--budget {budget:g} is no amount.", "Give US dollars, as --budget 2.50.")
    chosen = {"llm": models(llm or ()), "budget_usd": budget, "allow_unpriced": allow_unpriced or None}
    return {name: value for name, value in chosen.items() if value is not None}


def models(given: Sequence[str]) -> str | dict[str, str] | None:
    """`--llm` as the job has it: a model for everything, '' for none, models by operation, or None where nothing was said.

    Raises BadInput for what is neither provider/MODEL nor OPERATION=provider/MODEL."""
    if not given:
        return None
    everywhere = ""
    by_operation: dict[str, str] = {}
    for each in given:
        operation, separator, spec = each.partition("=") if "=" in each.partition("/")[0] else ("", "", each)
        model = "" if spec == NONE else _checked(spec.strip(), each)
        if separator:
            by_operation[operation.strip()] = model
        else:
            everywhere = model
    if not by_operation:
        return everywhere
    if all("=" in each.partition("/")[0] for each in given):
        return by_operation
    from activities.choosing import MODEL_BACKED

    return {**dict.fromkeys(MODEL_BACKED, everywhere), **by_operation}


def _checked(spec: str, given: str) -> str:
    from schemas.errors import BadInput

    provider = spec.partition("/")[0]
    if not provider:
        raise BadInput(
            f"--llm {given!r} names no provider.",
            "Write provider/MODEL, OPERATION=provider/MODEL, or none; see `shelf providers`.",
        )
    return spec
