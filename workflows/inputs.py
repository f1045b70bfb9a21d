"""Inputs of the jobs: one JSON object each, every field but the first optional.

They are validated inside the workflow, so that a wrong field fails the job with a sentence instead of failing its
first workflow task for ever.
"""

from __future__ import annotations

from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from schemas.errors import BadInput


class JobInput(BaseModel):
    """What every job may be given."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    wait: bool = Field(False, description="Wait while another job holds the book, instead of being refused.")


class ProcessPagesInput(JobInput):
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
    ocr: str = Field("auto", description="'auto', or the provider that shall read every page.")
    second_opinion: str | None = Field(
        None, description="Provider for pages of low confidence; '' for none; by default what is configured."
    )
    language: str | None = Field(None, description="Tesseract's names, joined by +: 'deu+eng'.")
    fresh: bool = Field(False, description="Read everything anew once, published results notwithstanding.")

    @model_validator(mode="after")
    def _one_source(self) -> ProcessPagesInput:
        if sum(value is not None for value in (self.source, self.manifest, self.book_id)) != 1:
            raise ValueError("give one of 'source', 'manifest' and 'book_id'")
        return self


class RerunTocInput(JobInput):
    """Input of `RerunToc`."""

    book_id: str = Field(description="Key of a book that was read before.")


class AddOcrSourceInput(JobInput):
    """Input of `AddOcrSource`."""

    book_id: str = Field(description="Key of a book that was read before.")
    provider: str = Field(description="Provider that shall read the pages, beside those that have.")
    pages: str | None = Field(None, description="Physical pages, as '1-20,35'; all by default.")
    language: str | None = Field(None, description="Tesseract's names, joined by +: 'deu+eng'.")
    blend: bool = Field(True, description="Blend the new readings in, and what follows from it; or only read.")


class RunOperationsInput(JobInput):
    """Input of `RunOperations`."""

    book_id: str = Field(description="Key of a book that was read before.")
    operations: list[str] = Field(min_length=1, description="Names of operations, in any order.")
    pages: str | None = Field(None, description="Physical pages, as '1-20,35'; all by default.")
    fresh: bool = Field(False, description="Do them anew, although they are current.")


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
