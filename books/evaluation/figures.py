"""Counts that figures are made of. They add up over pages and books, so that long ones weigh more."""

from __future__ import annotations

from typing import Any, Self

from pydantic import BaseModel, ConfigDict, computed_field


class Figure(BaseModel):
    """Frozen counts, and figures made of them; `+` adds field by field."""

    model_config = ConfigDict(frozen=True)

    def __add__(self, other: Self) -> Self:
        return type(self)(**{name: plus(getattr(self, name), getattr(other, name)) for name in type(self).model_fields})


def plus(one: Any, other: Any) -> Any:
    """The sum, where None means that there was nothing to count."""
    if one is None or other is None:
        return other if one is None else one
    return one + other


class Errors(Figure):
    """Edits, and what the truth has of them. More may be wrong than there is: an engine may invent text."""

    errors: int = 0
    of: int = 0
    """Characters or words of the truth."""

    @computed_field  # type: ignore[prop-decorator]
    @property
    def rate(self) -> float | None:
        """Errors per unit of truth; None where the truth has none."""
        return round(self.errors / self.of, 6) if self.of else None


class Hits(Figure):
    """How many of those that the truth has are right."""

    right: int = 0
    of: int = 0

    @computed_field  # type: ignore[prop-decorator]
    @property
    def share(self) -> float | None:
        """None where there is nothing to be right about."""
        return round(self.right / self.of, 6) if self.of else None


class Found(Figure):
    """What was found of what there is, where more may be found than there is."""

    right: int = 0
    given: int = 0
    """By us."""
    wanted: int = 0
    """By the truth."""

    @computed_field  # type: ignore[prop-decorator]
    @property
    def precision(self) -> float | None:
        return round(self.right / self.given, 6) if self.given else None

    @computed_field  # type: ignore[prop-decorator]
    @property
    def recall(self) -> float | None:
        return round(self.right / self.wanted, 6) if self.wanted else None

    @computed_field  # type: ignore[prop-decorator]
    @property
    def f(self) -> float | None:
        """Harmonic mean of precision and recall; None where there is nothing, and nothing was given."""
        return round(2 * self.right / (self.given + self.wanted), 6) if self.given + self.wanted else None
