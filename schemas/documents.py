"""The documents of a book as they lie in DefraDB: types, fields, what each means.

The SDL is generated from these classes (`schemas/sdl.py`), so a field added here is a field added there. All
fields may be null in the database. `key` is unique and follows from the business identity, never from a clock.

Each operation that writes to a mutable document owns the fields that begin with its name:

    <op>_rev         revision guard, epoch * 64 + step; 0 in the stub
    <op>_op_id       hash(epoch, op, step, artifact): which save wrote the fields
    <op>_complete    the operation's flag
    <op>_inputs      hash of what was read and of what the user chose; unequal to today's = stale
    <op>_generation  0, or the epoch of the job that was asked to read anew
    <op>_artifact    fingerprint of the published artifact that was saved
    <op>_error       why the operation failed for this document, null when it did not
"""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field

OPERATION_FIELDS: dict[str, type] = {
    "rev": int,
    "op_id": str,
    "complete": bool,
    "inputs": str,
    "generation": int,
    "artifact": str,
    "error": str,
}


class Document(BaseModel):
    """A document type. `operations` names the operations that own fields of it; empty = immutable."""

    model_config = ConfigDict(extra="allow", frozen=True)
    operations: ClassVar[tuple[str, ...]] = ()
    indexed: ClassVar[tuple[str, ...]] = ()

    key: str = Field(description="Unique business key.")

    def flag(self, operation: str, name: str) -> Any:
        """The operation's own field, e.g. flag("ocr", "inputs")."""
        return (self.model_extra or {}).get(f"{operation}_{name}")


class Book(Document):
    """One book. `key` = slug of the title of the source + 8 hex of the SHA-256 over its files' hashes."""

    operations: ClassVar = ("source", "label", "metadata", "structure", "paragraph")

    source_name: str | None = Field(None, description="File or folder name as given; no directory.")
    source_manifest: str | None = Field(None, description="Hash of the manifest artifact: the ordered source files.")
    page_count: int | None = Field(None, description="Number of leaves.")
    barcode: str | None = Field(None, description="What the library calls the book, as the user gave it.")
    choices: str | None = Field(
        None,
        description="JSON: engine, languages and second opinion that were chosen for the book; the rest is default.",
    )
    title: str | None = Field(None, description="Title proper, from the title page.")
    subtitle: str | None = Field(None, description="Subtitle.")
    authors: list[str] | None = Field(None, description="Authors as printed, in order.")
    publisher: str | None = Field(None, description="Publisher as printed.")
    place: str | None = Field(None, description="First place of publication.")
    year: int | None = Field(None, description="Year of publication of this edition.")
    isbn: list[str] | None = Field(None, description="ISBNs with a valid checksum, as 13 digits.")
    language: str | None = Field(None, description="Language of the text, ISO 639-1.")
    lccn: str | None = Field(None, description="Library of Congress Control Number, where a model read it.")
    description: str | None = Field(None, description="What the book is, in two sentences, where a model wrote it.")
    subjects: list[str] | None = Field(None, description="Subject headings as printed, where a model read them.")
    contributors: list[str] | None = Field(
        None, description="'Name (role)' of those who are no authors, where a model read them."
    )
    metadata_evidence: str | None = Field(
        None, description='JSON: field -> {"page": physical page, "confidence": 0..1, "source": where it was found}.'
    )
    label_report: str | None = Field(
        None, description="JSON: leaves that are missing or doubled by the printed numbers, with a sentence for each."
    )
    chapter_set: str | None = Field(None, description="Fingerprint of the set of chapters that is live.")
    chapter_count: int | None = Field(None, description="Number of chapters in the live set.")
    paragraph_sets: list[str] | None = Field(
        None, description="Fingerprints of the live sets of paragraphs, one per chapter in reading order."
    )
    paragraph_count: int | None = Field(None, description="Number of paragraphs in the live sets.")


class Page(Document):
    """A leaf: one page image of the source. Its identity is part, index and region; its position is data."""

    operations: ClassVar = ("extract", "ocr", "blend", "label_read", "label")
    indexed: ClassVar = ("book_key",)

    book_key: str | None = Field(None, description="Key of the book.")
    part: int | None = Field(None, description="0-based number of the source file.")
    index: int | None = Field(None, description="0-based page (or frame) in that file.")
    region: str | None = Field(
        None, description="'' = the whole page; 'x0,y0,x1,y1' as shares of it = a part, as one page of a spread."
    )
    page: int | None = Field(None, description="Physical position in the book today, 1-based.")
    width: float | None = Field(None, description="Width of the upright page in points.")
    height: float | None = Field(None, description="Height of the upright page in points.")
    rotation: int | None = Field(None, description="/Rotate of the page: 0, 90, 180 or 270.")
    image_hash: str | None = Field(None, description="SHA-256 over what the page shows: images, content, geometry.")
    text_layer: str | None = Field(None, description="'good', 'poor' or 'none'.")
    text_layer_reason: str | None = Field(None, description="Why the text layer is poor.")
    image_steps: str | None = Field(
        None, description="JSON: how the image is prepared for reading (`providers/image_steps.py`); null = as it is."
    )
    ocr_results: list[str] | None = Field(None, description="Keys of the OcrResults that the blend reads, in order.")
    text: str | None = Field(None, description="The best text: the blend's.")
    confidence: float | None = Field(None, description="Mean confidence of the blended words, 0..100.")
    agreement: float | None = Field(None, description="Share of words that all sources read alike; null with one.")
    expected_cer: float | None = Field(None, description="Expected share of wrong characters in `text`, 0..1.")
    label: str | None = Field(None, description="Printed page number ('xii', '7', 'A-3'); null where there is none.")
    label_inferred: bool | None = Field(None, description="True where the number is not printed but follows.")
    running_header: str | None = Field(None, description="Running header as printed, without the number.")
    page_type: str | None = Field(None, description="title_page, copyright, toc, body, blank, index, ...")


class OcrResult(Document):
    """One provider's reading of one page; immutable. `key` = page key / ocr / provider / fingerprint."""

    indexed: ClassVar = ("book_key", "page_key")

    book_key: str | None = Field(None, description="Key of the book.")
    page_key: str | None = Field(None, description="Key of the page.")
    provider: str | None = Field(None, description="Name of the provider.")
    model: str | None = Field(None, description="Model and version as the provider reports them.")
    language: str | None = Field(None, description="Languages asked for, as 'eng' or 'deu+eng'.")
    text: str | None = Field(None, description="The text, lines by newlines; '' for a page without any.")
    confidence: float | None = Field(None, description="Mean word confidence, 0..100.")
    expected_cer: float | None = Field(None, description="Expected share of wrong characters in `text`, 0..1.")
    image_hash: str | None = Field(None, description="image_hash of the page that was read.")
    artifact: str | None = Field(None, description="Fingerprint of the artifact with words and boxes.")
    generation: int | None = Field(None, description="0, or the epoch of the job that read anew.")
    op_id: str | None = Field(None, description="The save that wrote this document.")


class ToC(Document):
    """The table of contents of a book. `key` = book key / toc."""

    operations: ClassVar = ("toc_find", "toc_extract", "toc_link")
    indexed: ClassVar = ("book_key",)

    book_key: str | None = Field(None, description="Key of the book.")
    found: bool | None = Field(None, description="Whether printed contents pages or an outline were found.")
    source: str | None = Field(None, description="'printed', 'outline', 'printed+outline' or 'none'.")
    pages: list[int] | None = Field(None, description="Physical pages of the printed contents.")
    reason: str | None = Field(None, description="Which evidence decided, in a sentence.")
    current_set: str | None = Field(None, description="Fingerprint of the set of entries that is live.")
    entry_count: int | None = Field(None, description="Number of entries in the live set.")
    links: str | None = Field(
        None, description="JSON: one object per entry of the live set: its leaf, how that was found, what disagrees."
    )
    mismatch_count: int | None = Field(None, description="Number of entries whose evidence disagrees.")


class TocEntry(Document):
    """One entry; immutable member of a set. `key` = book key / toc / set fingerprint / 007."""

    indexed: ClassVar = ("book_key", "toc_set")

    book_key: str | None = Field(None, description="Key of the book.")
    toc_set: str | None = Field(None, description="Fingerprint of the set; live if the ToC names it.")
    sort_order: int | None = Field(None, description="0-based position.")
    number: str | None = Field(None, description="Number of the entry as printed ('IV', '2.1').")
    title: str | None = Field(None, description="Title without number, leaders and page.")
    level: int | None = Field(None, description="1 = top.")
    printed: str | None = Field(None, description="Printed page number as it stands in the contents.")
    page: int | None = Field(None, description="Physical page on which the title was found, or the label says.")
    page_key: str | None = Field(None, description="Key of that page.")
    confidence: float | None = Field(None, description="0..1: how well the title was found there.")
    source: str | None = Field(None, description="'printed', 'outline' or 'both'.")


class Chapter(Document):
    """A part of the book; immutable member of a set. `key` = book key / chapter / set fingerprint / 007.

    Every page belongs to exactly one chapter of the deepest level that covers it; what no entry names lies in buckets
    (cover, front matter, back matter). Two chapters may share a page: they meet at `start_line` of the second."""

    indexed: ClassVar = ("book_key", "chapter_set")

    book_key: str | None = Field(None, description="Key of the book.")
    chapter_set: str | None = Field(None, description="Fingerprint of the set; live if the Book names it.")
    sort_order: int | None = Field(None, description="0-based position in reading order, parents before children.")
    level: int | None = Field(None, description="1 = top.")
    parent: str | None = Field(None, description="Key of the chapter that holds this one; null at the top.")
    number: str | None = Field(None, description="Number as printed ('IV', '2.1').")
    title: str | None = Field(None, description="Title; of a bucket its English name.")
    matter: str | None = Field(None, description="'front', 'body' or 'back'.")
    bucket: str | None = Field(
        None,
        description="'' = a chapter; else the bucket: 'cover', 'front matter', 'contents', 'back matter'; 'text' where "
        "a book has no heading.",
    )
    start_page: int | None = Field(None, description="Physical page on which it begins.")
    start_line: int | None = Field(
        None, description="0-based line of the blended reading at which it begins there; 0 = with the page."
    )
    end_page: int | None = Field(None, description="Physical page on which it ends, its sub-chapters included.")
    end_line: int | None = Field(None, description="Line before which it ends there; null = the whole page is its own.")
    start_label: str | None = Field(None, description="Printed number of the first page.")
    end_label: str | None = Field(None, description="Printed number of the last page.")
    toc_entry: str | None = Field(None, description="Key of the TocEntry that it follows from; null without one.")
    source: str | None = Field(None, description="'contents', 'heading' or 'bucket'.")
    confidence: float | None = Field(None, description="0..1.")


class Paragraph(Document):
    """A paragraph, heading, note or figure; immutable. `key` = book key / paragraph / set fingerprint / 00007.

    There is a set per chapter, so that a corrected page changes the paragraphs of its chapter alone."""

    indexed: ClassVar = ("book_key", "paragraph_set")

    book_key: str | None = Field(None, description="Key of the book.")
    paragraph_set: str | None = Field(None, description="Fingerprint of the set; live if the Book names it.")
    sort_order: int | None = Field(None, description="0-based position in the chapter, in reading order.")
    chapter_key: str | None = Field(None, description="Key of the deepest chapter that it belongs to.")
    kind: str | None = Field(
        None, description="'text', 'heading', 'footnote', 'figure', 'caption', 'list', 'contents'."
    )
    level: int | None = Field(None, description="Of a heading: 1 = top.")
    text: str | None = Field(None, description="Running text: hyphenation undone, lines joined by blanks.")
    pages: list[int] | None = Field(None, description="Physical pages that it stands on, in order.")
    spans: str | None = Field(
        None,
        description="JSON: [[page, line, first word, word after the last], ...] of the pages' blended readings, in order.",
    )
    crop: str | None = Field(
        None, description="Of a figure: JSON [page, x0, y0, x1, y1] in points of the upright page."
    )


class Correction(Document):
    """What a person says against the machines; immutable. `key` = target key / correction / field / 3.

    The highest number of a target and field is the one that counts; one with `reverted` gives the machines back their
    say. They are inputs of the operations, so what they make stale is done again and nothing else."""

    indexed: ClassVar = ("book_key",)

    book_key: str | None = Field(None, description="Key of the book.")
    target: str | None = Field(None, description="Key of the Page or Book that is corrected.")
    field: str | None = Field(None, description="Name of the field: 'text', 'label', 'page_type', 'title', 'year', ...")
    number: int | None = Field(None, description="1-based: how often this field was corrected.")
    value: str | None = Field(None, description="JSON of the value; of a text, the fingerprint of its artifact.")
    reverted: bool | None = Field(None, description="True: this undoes what was corrected before.")
    who: str | None = Field(None, description="Who says so.")
    why: str | None = Field(None, description="Why, in their words.")
    at: str | None = Field(None, description="When, RFC 3339 UTC.")


class Metric(Document):
    """One attempt of a unit of work, or one save; immutable. `key` = kind / workflow run / activity / attempt."""

    indexed: ClassVar = ("book_key", "op_id")

    book_key: str | None = Field(None, description="Key of the book.")
    kind: str | None = Field(
        None, description="'attempt' (a provider was reached), 'save' (documents written) or 'load' (from a dump)."
    )
    operation: str | None = Field(None, description="Operation.")
    provider: str | None = Field(None, description="Provider.")
    model: str | None = Field(None, description="Model as the provider reports it.")
    prompt_hash: str | None = Field(None, description="Hash of the prompt; null without one.")
    workflow_id: str | None = Field(None, description="Workflow that asked.")
    run_id: str | None = Field(None, description="Its run.")
    activity_id: str | None = Field(None, description="Activity in that run.")
    attempt: int | None = Field(None, description="1-based attempt.")
    pages: list[int] | None = Field(None, description="Physical pages of the unit; empty for a book-level one.")
    read: int | None = Field(None, description="Pages that were read by the provider, not found published.")
    at: str | None = Field(None, description="When the attempt began, RFC 3339 UTC.")
    queue_seconds: float | None = Field(None, description="From scheduling to start.")
    execution_seconds: float | None = Field(None, description="From start to end.")
    input_tokens: int | None = Field(None, description="Tokens in; null where there are none.")
    output_tokens: int | None = Field(None, description="Tokens out.")
    cost_usd: float | None = Field(
        None, description="Cost; 0 for a local engine; of an unknown outcome the high estimate; null if there is none."
    )
    price_source: str | None = Field(None, description="Where the price is from, with its date.")
    outcome: str | None = Field(None, description="'ok', 'partial', 'failed' or 'unknown'.")
    error: str | None = Field(None, description="Error type and message, at most 4 KB.")
    op_id: str | None = Field(None, description="Joins an attempt to the save and the commits that it led to.")
    documents: list[str] | None = Field(None, description="Of a save: 'Type key docID cid' per document written.")


class Lease(Document):
    """Who may write to a book. `key` = book key."""

    book_key: str | None = Field(None, description="Key of the book.")
    workflow_id: str | None = Field(None, description="Workflow that holds the book; null when free.")
    first_run_id: str | None = Field(None, description="First run of its chain.")
    run_id: str | None = Field(None, description="The run that acquired it: the token.")
    epoch: int | None = Field(None, description="Grows by one with each taking; guards every save.")


class Budget(Document):
    """What may be spent; `key` = "job/<workflow id>" or "day/2026-11-24".

    Sums are kept per holder (a range, a job) as absolute values, so that a repeat of a write is harmless."""

    operations: ClassVar = ("limit", "spend")
    indexed: ClassVar = ("book_key",)

    book_key: str | None = Field(None, description="Key of the book of a job's budget; null for a day's.")
    limit_usd: float | None = Field(None, description="The cap.")
    spent_usd: float | None = Field(None, description="Sum of what is settled.")
    holders: str | None = Field(
        None,
        description="JSON: holder -> [settled, allotted, its last request, its closing], in USD; what is allotted "
        "includes what is settled.",
    )


TYPES: tuple[type[Document], ...] = (
    *(Book, Page, OcrResult, ToC, TocEntry, Metric, Lease),
    *(Chapter, Paragraph, Correction),
    Budget,
)
"""Every type that the bootstrap creates, in order."""
