"""Inputs of the jobs: one JSON object each, every field but the first optional.

They are validated inside the workflow, so that a wrong field fails the job with a sentence instead of failing its
first workflow task for ever.
"""

from __future__ import annotations

from typing import Any, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from activities.corrections import Said
from providers.leaf_edits import LeafEdit
from schemas.errors import BadInput


class JobInput(BaseModel):
    """What every job may be given."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    wait: bool = Field(False, description="Wait while another job holds the book, instead of being refused.")

    def anew(self, operations: tuple[str, ...]) -> tuple[str, ...]:
        """Which of the job's operations are to be done anew."""
        return ()

    def rank(self, priority: int) -> int:
        """The priority of the job's activities, which is `priority` by default."""
        return priority


class SpendingInput(JobInput):
    """Of a job that may ask language models, or pay for pages."""

    llm: str | dict[str, str] | None = Field(
        None,
        description="Language model as 'provider/MODEL', for all operations that can use one, or per operation "
        "{'blend': 'openrouter/MODEL'}; '' = none, by rules. By default what was chosen for the book, else what is "
        "configured.",
    )
    budget_usd: float | None = Field(
        None,
        gt=0,
        allow_inf_nan=False,
        description="The job pauses before it has spent more; by default what is configured.",
    )
    allow_unpriced: bool | None = Field(
        None, description="Call a paid provider although nobody knows its price; no budget can hold it then."
    )
    priority: int | None = Field(
        None,
        ge=1,
        le=5,
        description="Whose activities go first where they wait for the same provider: 1 before 5. By default 3 of a book "
        "that is read, 2 of what somebody waits for (corrections, edits, re-runs).",
    )

    def rank(self, priority: int) -> int:
        """The one that was chosen, else that of the job."""
        return priority if self.priority is None else self.priority


class RenewingInput(SpendingInput):
    """Of a job that can be told to do things anew."""

    fresh: bool = Field(False, description="Do everything anew once, although it is current.")
    from_operation: str | None = Field(
        None, description="Do this operation anew; what depends on it follows where it came out otherwise."
    )

    @model_validator(mode="after")
    def _one_beginning(self) -> Self:
        if self.fresh and self.from_operation:
            raise ValueError("give 'fresh' or 'from_operation', not both")
        return self

    def anew(self, operations: tuple[str, ...]) -> tuple[str, ...]:
        """All of them, the one that is named, or none. Raises BadInput for one that is not among them."""
        if self.from_operation is None:
            return operations if self.fresh else ()
        if self.from_operation not in operations:
            raise BadInput(
                f"The job has no operation {self.from_operation!r} to begin from.", f"It has: {', '.join(operations)}."
            )
        return (self.from_operation,)


class ProcessPagesInput(RenewingInput):
    """Input of `ProcessPages`."""

    source: str | list[str] | None = Field(
        None,
        description="Path of a PDF or of a folder of page images, or several files in order, as the worker sees it.",
    )
    manifest: str | None = Field(
        None, description="Instead of a source: fingerprint of one that was imported into the artifact store."
    )
    book_id: str | None = Field(None, description="Instead of a source: a book that is known.")
    pages: str | None = Field(None, description="Physical pages, as '1-20,35'; all by default.")
    ocr: str | None = Field(
        None,
        description="'auto', or the provider that shall read every page. By default 'auto'; of a known book, what was "
        "chosen for it before, as with the next two.",
    )
    second_opinion: str | None = Field(
        None,
        description="Provider for the pages with the most expected errors; '' for none; by default what is configured.",
    )
    language: str | None = Field(None, description="Tesseract's names, joined by +: 'deu+eng'.")
    images: Literal["auto", "off"] | None = Field(
        None,
        description="'auto': pages are turned upright, straightened and cleaned at their edges for reading, where that is "
        "sure to help; 'off': read as they are. By default 'auto'; of a known book, what was chosen for it before.",
    )
    stand_in: str | None = Field(
        None, description="Provider that reads what is left to read, in place of the chosen one and for this job alone."
    )
    barcode: str | None = Field(None, description="What the library calls the book; commands find the book by it.")
    spreads: Literal["auto", "never", "always"] = Field(
        "auto", description="Of a source: whether scans of two pages become two leaves; 'auto' where that is sure."
    )
    rtl: bool = Field(False, description="Of two pages in one scan the right one comes first.")

    @model_validator(mode="after")
    def _one_source(self) -> ProcessPagesInput:
        if sum(value is not None for value in (self.source, self.manifest, self.book_id)) != 1:
            raise ValueError("give one of 'source', 'manifest' and 'book_id'")
        return self


class EditLeavesInput(SpendingInput):
    """Input of `EditLeaves`."""

    book_id: str = Field(description="Key of a book that was imported before.")
    edits: list[LeafEdit] = Field(min_length=1, description="What to do with its leaves, one after the other.")
    of: str | None = Field(
        None, description="Fingerprint of the manifest that is edited; refused where the book has another by now."
    )


class RerunTocInput(SpendingInput):
    """Input of `RerunToc`."""

    book_id: str = Field(description="Key of a book that was read before.")


class AddOcrSourceInput(SpendingInput):
    """Input of `AddOcrSource`."""

    book_id: str = Field(description="Key of a book that was read before.")
    provider: str = Field(description="Provider that shall read the pages, beside those that have.")
    pages: str | None = Field(None, description="Physical pages, as '1-20,35'; all by default.")
    language: str | None = Field(None, description="Tesseract's names, joined by +: 'deu+eng'.")
    blend: bool = Field(True, description="Blend the new readings in, and what follows from it; or only read.")


class ImproveInput(SpendingInput):
    """Input of `Improve`."""

    book_id: str = Field(description="Key of a book that was read before.")
    providers: list[str] = Field(
        [],
        description="Providers that may be paid for readings; several are compared on the same pages first. By default those "
        "that are set up, at most three, the cheapest ones.",
    )
    budget_usd: float | None = Field(
        None,
        gt=0,
        allow_inf_nan=False,
        description="Spend at most so much; by default what is configured. Needed for paid providers, or `most_pages`.",
    )
    pages: str | None = Field(None, description="Physical pages among which to choose, as '1-20,35'; all by default.")
    most_pages: int | None = Field(None, gt=0, description="Buy at most so many pages.")

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        if len(set(self.providers)) < len(self.providers):
            raise ValueError("name each provider once")
        return self


class RunOperationsInput(RenewingInput):
    """Input of `RunOperations`."""

    book_id: str = Field(description="Key of a book that was read before.")
    operations: list[str] = Field(min_length=1, description="Names of operations, in any order.")
    pages: str | None = Field(None, description="Physical pages, as '1-20,35'; all by default.")


class BuildStructureInput(RenewingInput):
    """Input of `BuildStructure`."""

    book_id: str = Field(description="Key of a book that was read before.")


class CorrectInput(SpendingInput):
    """Input of `Correct`."""

    book_id: str = Field(description="Key of a book that was read before.")
    who: str = Field(min_length=1, max_length=100, description="Who says so.")
    corrections: list[Said] = Field(
        min_length=1,
        max_length=200,
        exclude=True,  # what the other activities are given needs no texts
        description="What is right, each: page, field, value (or artifact), why; or page, field, revert.",
    )


class DeleteBookInput(JobInput):
    """Input of `DeleteBook`."""

    book_id: str = Field(description="Key of the book that is deleted.")
    keep_artifacts: bool = Field(
        False, description="Leave the results of engines and the source files in the artifact store."
    )


M = TypeVar("M", bound=BaseModel)


def validate_input(model: type[M], value: Any) -> M:
    """Raises BadInput that names the field."""
    if isinstance(value, model):
        return value
    try:
        return model.model_validate({} if value is None else value)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        known = ", ".join(model.model_fields)
        what = f"field {where!r}: {first['msg']}" if where else first["msg"]
        raise BadInput(f"The input of the job is not right: {what}.", f"Known fields: {known}.") from None
