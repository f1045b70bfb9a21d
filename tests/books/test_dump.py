"""Dump and load over the store in memory: what comes back, what a damaged file is, what a killed load leaves."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from activities.holdings import ALL, held, where
from books.dump import FORMAT_VERSION, KINDS, MANIFEST, BookSummary, DumpOptions, dump
from books.load import BadDump, BookDiffers, Dump, Loaded, differences, load, with_earlier
from providers.local_artifacts import LocalArtifactStore
from providers.source import Manifest, SourcePart
from schemas.documents import Book, Correction, Document, Lease, Metric, OcrResult, Page
from schemas.errors import BadInput, LeaseHeld, StoreUnavailable
from schemas.guard import row_of
from schemas.keys import correction_key, ocr_result_key, page_key
from schemas.memory import MemoryStore
from schemas.store import Update, digest, op_id

FIRST, SECOND = "first-book-00000001", "second-book-00000002"
SHARED = digest("a blank page")
VERSIONS = {"shelf": "0.1.0", "database": "DefraDB 0.19.0"}


async def nobody(lease: Lease) -> bool:
    return False


async def somebody(lease: Lease) -> bool:
    return True


class Library:
    """A database with its artifact store."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = MemoryStore()
        self.artifacts = LocalArtifactStore(folder / "artifacts")

    async def add(self, key: str, pages: int = 3) -> None:
        """A book as the saves of two jobs leave it."""
        store, artifacts = self.store, self.artifacts
        scan = self.folder / f"{key}.pdf"
        scan.write_bytes(key.encode() * 1000)
        part = SourcePart(sha256=artifacts.put_file(scan), name=scan.name, kind="pdf", pages=pages)
        manifest = Manifest(name=key, parts=(part,))
        artifacts.publish(manifest.fingerprint(), manifest.model_dump_json(exclude_defaults=True).encode())
        await store.acquire_lease(key, f"process-pages:{key}", "r", "r", 0)
        await store.acquire_lease(key, f"process-pages:{key}", "r", "r", 1)
        await store.release_lease(key, "r", 2)
        await store.stub(Book, [{"key": key}])
        fields = {"source_name": key, "source_manifest": manifest.fingerprint(), "page_count": pages}
        await self.save(Book, key, "source", fields, manifest.fingerprint())
        for number in range(1, pages + 1):
            name = page_key(key, f"0000-{number:04d}")
            answer = SHARED if number == pages else digest([key, number])
            artifacts.publish(answer, f"words of {answer}".encode())
            artifacts.record_attempt(answer, "attempt-1", {"seconds": number, "raw": "…"})
            result = ocr_result_key(name, "tesseract", answer)
            await store.stub(Page, [{"key": name, "book_key": key, "part": 0, "index": number - 1, "page": number}])
            await store.create(
                OcrResult, [OcrResult(key=result, book_key=key, page_key=name, text=NASTY, artifact=answer)]
            )
            await self.save(Page, name, "ocr", {"ocr_results": [result]}, answer)
            await self.save(Page, name, "blend", {"text": f"page\u2028{number}", "confidence": 90.0}, "", epoch=1)
            await self.save(Page, name, "blend", {"text": NASTY, "agreement": 1 / 3}, "", epoch=2)
        text = digest(["text", key])
        artifacts.publish(text, b"as it should be")
        await store.create(
            Correction,
            [
                Correction(
                    key=correction_key(page_key(key, "0000-0001"), "text", 1),
                    book_key=key,
                    target=page_key(key, "0000-0001"),
                    field="text",
                    number=1,
                    value=json.dumps(text),
                    who="Ann",
                )
            ],
        )
        await store.create(Metric, [Metric(key=f"attempt/{key}/1", book_key=key, kind="attempt", cost_usd=0.25)])

    async def save(
        self, kind: type[Document], key: str, operation: str, fields: dict[str, Any], artifact: str, epoch: int = 1
    ) -> None:
        flags = {"complete": True, "inputs": "i", "generation": None, "artifact": artifact or None, "error": None}
        mark = op_id(epoch, operation, 1, artifact)
        await self.store.update(kind, operation, epoch, 1, [Update(key, fields, flags, mark)])

    async def rows(self, key: str) -> dict[str, dict[str, Any]]:
        """All documents of a book but its lease and the notes of loads."""
        return {
            each.key: row_of(kind, each)
            for kind in ALL
            for each in await self.store.find(kind, where(kind, key))
            if not each.key.startswith("load/")
        }


NASTY = "quotes \" and \\ 'x' \x00\x1f\u2028 😀 é العربية \r\n end"


@pytest.fixture
async def library(tmp_path: Path) -> Library:
    (tmp_path / "library").mkdir()
    made = Library(tmp_path / "library")
    await made.add(FIRST)
    await made.add(SECOND, pages=2)
    return made


@pytest.fixture
def empty(tmp_path: Path) -> Library:
    (tmp_path / "empty").mkdir()
    return Library(tmp_path / "empty")


@pytest.fixture
async def file(library: Library, tmp_path: Path) -> Path:
    return await dumped(library, tmp_path / "library.zip")


async def dumped(library: Library, target: Path, *books: str, **options: bool) -> Path:
    await dump(
        library.store,
        library.artifacts,
        books or (FIRST, SECOND),
        target,
        DumpOptions(**options),
        busy=nobody,
        versions=VERSIONS,
    )
    return target


async def loaded(file: Path, into: Library, *only: str) -> list[Loaded]:
    with Dump(file) as found:
        found.verify()
        return await load(found, into.store, into.artifacts, books=found.books(only), busy=nobody)


def files_of(library: Library) -> dict[str, bytes]:
    """The artifact store without what tells when something was written."""
    root = library.artifacts.root
    return {
        str(path.relative_to(root)): path.read_bytes()
        for name in ("published", "attempts", "sources")
        for path in (root / name).rglob("*")
        if path.is_file()
    }


# --- there and back ---


@pytest.mark.parametrize("compress", [True, False])
async def test_what_comes_back_is_what_there_was(
    library: Library, empty: Library, tmp_path: Path, compress: bool
) -> None:
    file = await dumped(library, tmp_path / "d.zip", compress=compress)
    rows = await loaded(file, empty)
    assert [(row.key, row.outcome, row.missing) for row in rows] == [(FIRST, "loaded", 0), (SECOND, "loaded", 0)]
    for key in (FIRST, SECOND):
        assert await empty.rows(key) == await library.rows(key)
    page = (await empty.store.find(Page, {"book_key": FIRST}))[0]
    assert (page.text, page.flag("blend", "rev"), page.flag("ocr", "rev")) == (NASTY, 2 * 64 + 1, 64 + 1)
    before, after = files_of(library), files_of(empty)
    histories = set(after) - set(before)
    assert len(histories) == 2  # what the database itself cannot take over
    assert {name: after[name] for name in before} == before
    assert [path.name for path in tmp_path.glob(".*")] == []


async def test_a_lease_is_free_and_goes_on_growing(library: Library, empty: Library, file: Path) -> None:
    await loaded(file, empty)
    [one, two] = await empty.store.find(Lease, {})
    assert (one.workflow_id, one.run_id, two.workflow_id) == (None, None, None)
    assert min(one.epoch or 0, two.epoch or 0) > 2


async def test_a_later_save_goes_on_from_the_revisions(library: Library, empty: Library, file: Path) -> None:
    await loaded(file, empty)
    key = page_key(FIRST, "0000-0001")
    lease = (await empty.store.get(Lease, [FIRST]))[FIRST]
    await empty.save(Page, key, "blend", {"text": "anew"}, "", epoch=lease.epoch or 0)
    assert (await empty.store.get(Page, [key]))[key].text == "anew"


async def test_again_changes_nothing(empty: Library, file: Path) -> None:
    await loaded(file, empty)
    commits, files = empty.store.commits, files_of(empty)
    assert [row.outcome for row in await loaded(file, empty)] == ["equal", "equal"]
    assert (empty.store.commits, files_of(empty)) == (commits, files)


async def test_only_some(library: Library, empty: Library, file: Path, tmp_path: Path) -> None:
    await loaded(file, empty, "second")
    assert await empty.rows(FIRST) == {}
    assert await empty.rows(SECOND) == await library.rows(SECOND)
    assert (await held(library.store, library.artifacts, SECOND)).artifacts <= {
        path.replace("published/", "").replace("/", "") for path in files_of(empty)
    }
    assert digest([FIRST, 1])[2:] not in {Path(path).name for path in files_of(empty)}
    with pytest.raises(BadInput, match="0 books 'third'"):
        await loaded(file, empty, "third")
    small = await dumped(library, tmp_path / "small.zip", SECOND)
    with Dump(small) as opened:
        assert opened.books() == [SECOND]


async def test_a_shared_artifact_is_in_it_once(file: Path) -> None:
    with zipfile.ZipFile(file) as opened:
        assert opened.namelist().count(f"artifacts/{SHARED}") == 1
        held_by = [json.loads(opened.read(f"books/{key}/held.json"))["artifacts"] for key in (FIRST, SECOND)]
    assert all(SHARED in names for names in held_by)


async def test_versions_of_before_lie_beside(library: Library, empty: Library, file: Path, tmp_path: Path) -> None:
    await loaded(file, empty)
    key = page_key(FIRST, "0000-0001")
    there = await library.store.history(Page, key)
    found = await with_earlier(empty.store, empty.artifacts, FIRST).history(Page, key)
    assert found[:-1] == there
    assert (found[-1].height, found[-1].state) == (len(there) + 1, there[-1].state)
    assert len(await empty.store.history(Page, key)) == 1
    # And they go on with the next dump.
    (tmp_path / "third").mkdir()
    third = Library(tmp_path / "third")
    await loaded(await dumped(empty, tmp_path / "second.zip"), third)
    again = await with_earlier(third.store, third.artifacts, FIRST).history(Page, key)
    assert again[:-1] == found
    assert again[-1].height == len(there) + 2


async def test_without_history_those_of_earlier_databases_are_not_in_it(
    empty: Library, file: Path, tmp_path: Path
) -> None:
    await loaded(file, empty)
    with_it = await dumped(empty, tmp_path / "with.zip")
    without = await dumped(empty, tmp_path / "without.zip", history=False)
    with zipfile.ZipFile(with_it) as one, zipfile.ZipFile(without) as other:
        lacking = set(one.namelist()) - set(other.namelist())
    assert len([name for name in lacking if name.startswith("artifacts/")]) == 2
    assert len([name for name in lacking if name.endswith("history.jsonl")]) == 2


async def test_without_history_and_artifacts(library: Library, empty: Library, tmp_path: Path) -> None:
    file = await dumped(library, tmp_path / "d.zip", artifacts=False, history=False)
    with zipfile.ZipFile(file) as opened:
        assert {name.split("/")[-1] for name in opened.namelist()} <= {
            MANIFEST,
            *(f"{kind.__name__}.jsonl" for kind in KINDS),
        }
    await loaded(file, empty)
    assert await empty.rows(FIRST) == await library.rows(FIRST)
    assert files_of(empty) == {}


async def test_what_the_store_has_lost_is_named(library: Library, empty: Library, tmp_path: Path) -> None:
    lost, damaged = digest([FIRST, 1]), digest([FIRST, 2])
    library.artifacts.remove(lost)
    path = library.artifacts._path("published", damaged)
    path.write_bytes(path.read_bytes()[:-1])
    summary = await dump(
        library.store,
        library.artifacts,
        [FIRST],
        tmp_path / "d.zip",
        DumpOptions(),
        busy=nobody,
        versions=VERSIONS,
    )
    book: BookSummary = summary.books[FIRST]
    assert book.missing == sorted([lost, damaged])
    [row] = await loaded(tmp_path / "d.zip", empty)
    assert row.missing == 2
    assert await empty.rows(FIRST) == await library.rows(FIRST)


# --- jobs ---


async def test_a_book_that_is_worked_on_is_not_dumped(library: Library, tmp_path: Path) -> None:
    await library.store.acquire_lease(FIRST, "process-pages:x", "r2", "r2", 2)
    target = tmp_path / "d.zip"
    arguments = (library.store, library.artifacts, [FIRST], target, DumpOptions())
    with pytest.raises(LeaseHeld, match="process-pages:x"):
        await dump(*arguments, busy=somebody, versions=VERSIONS)
    assert list(tmp_path.glob("*.zip*")) == list(tmp_path.glob(".d*")) == []
    await dump(*arguments, busy=nobody, versions=VERSIONS)  # its job is dead
    with Dump(target) as found:
        assert found.epoch(FIRST) == 3


async def test_a_job_that_comes_and_goes_meanwhile(library: Library, tmp_path: Path) -> None:
    """The documents are read again: those of one moment are in the dump."""
    taken = 0

    def job(name: str) -> None:
        nonlocal taken
        if name == "find" and not taken:
            taken = 1
            library.store._rows["Lease"][FIRST]["epoch"] += 1
            library.store._rows["Page"][page_key(FIRST, "0000-0001")]["text"] = "of the job"

    library.store.faults = job
    await dumped(library, tmp_path / "d.zip", FIRST)
    with Dump(tmp_path / "d.zip") as found:
        assert found.epoch(FIRST) == 3
        assert next(found.rows(FIRST, Page))["text"] == "of the job"


async def test_a_book_that_is_worked_on_is_not_loaded(empty: Library, file: Path) -> None:
    await empty.store.acquire_lease(FIRST, "process-pages:x", "r", "r", 0)
    with Dump(file) as found, pytest.raises(LeaseHeld, match="process-pages:x"):
        await load(found, empty.store, empty.artifacts, busy=somebody)
    assert await empty.rows(FIRST) == {}


# --- what is there otherwise ---


async def test_a_book_with_other_content_is_an_error_before_anything_is_written(
    library: Library, empty: Library, file: Path
) -> None:
    await loaded(file, empty, SECOND)
    key = page_key(SECOND, "0000-0001")
    await empty.save(Page, key, "blend", {"text": "corrected since"}, "", epoch=9)
    commits, files = empty.store.commits, files_of(empty)
    with pytest.raises(BookDiffers, match=rf"Page {key} differs in .*text"):
        await loaded(file, empty)
    assert (empty.store.commits, files_of(empty)) == (commits, files)
    await loaded(file, empty, FIRST)
    assert await empty.rows(FIRST) == await library.rows(FIRST)


async def test_a_document_more_is_other_content(empty: Library, file: Path) -> None:
    await loaded(file, empty)
    await empty.store.create(Metric, [Metric(key="attempt/later", book_key=FIRST, kind="attempt")])
    with Dump(file) as found:
        assert await differences(found, empty.store, FIRST) == ["Metric attempt/later is not in the dump"]


@pytest.mark.parametrize("nth", [1, 2, 4, 6, 8])
async def test_killed_in_the_middle_and_begun_again(library: Library, empty: Library, file: Path, nth: int) -> None:
    seen = 0

    def kill(name: str) -> None:
        nonlocal seen
        if name == "create:after":
            seen += 1
            if seen == nth:
                raise KeyboardInterrupt

    async def no_release(*_: Any) -> None:
        return None

    empty.store.faults = kill
    release, empty.store.release_lease = empty.store.release_lease, no_release  # type: ignore[method-assign,assignment]
    with pytest.raises(KeyboardInterrupt):
        await loaded(file, empty)
    empty.store.faults = None
    empty.store.release_lease = release  # type: ignore[method-assign]
    if FIRST in await empty.store.get(Book, [FIRST]):  # half of a book is no book
        assert await empty.rows(FIRST) == await library.rows(FIRST)
    await loaded(file, empty)
    for key in (FIRST, SECOND):
        assert await empty.rows(key) == await library.rows(key)
    assert {lease.workflow_id for lease in await empty.store.find(Lease, {})} == {None}


async def test_a_database_that_is_away_leaves_no_half_a_dump(library: Library, tmp_path: Path) -> None:
    def away(name: str) -> None:
        if name == "history":
            raise StoreUnavailable("away")

    library.store.faults = away
    before = b"an older dump"
    (tmp_path / "d.zip").write_bytes(before)
    with pytest.raises(StoreUnavailable):
        await dumped(library, tmp_path / "d.zip")
    assert (tmp_path / "d.zip").read_bytes() == before
    assert list(tmp_path.glob(".d.zip*")) == []


# --- damage ---


async def refused(file: Path, empty: Library, match: str) -> None:
    """The error names the file and the place, and nothing was written."""
    with pytest.raises(BadDump, match=match) as caught:
        await loaded(file, empty)
    assert str(file) in caught.value.message
    assert caught.value.next_step
    assert empty.store.commits == 0
    assert files_of(empty) == {}


@pytest.mark.parametrize("compress", [True, False])
@pytest.mark.parametrize("name", ["Page.jsonl", "Book.jsonl", "history.jsonl", "held.json", "artifact", "source"])
async def test_a_flipped_bit(library: Library, empty: Library, tmp_path: Path, name: str, compress: bool) -> None:
    file = await dumped(library, tmp_path / "d.zip", compress=compress)
    member = {
        "artifact": f"artifacts/{SHARED}",
        "source": next(each for each in zipfile.ZipFile(file).namelist() if each.startswith("sources/")),
    }.get(name, f"books/{FIRST}/{name}")
    with zipfile.ZipFile(file) as opened:
        info = opened.getinfo(member)
    body = bytearray(file.read_bytes())
    at = info.header_offset + 30 + len(member) + 20 + info.compress_size // 2  # 20: the extra field of a large file
    body[at] ^= 0x10
    file.write_bytes(body)
    await refused(file, empty, member)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.999])
async def test_cut_off(file: Path, empty: Library, share: float) -> None:
    body = file.read_bytes()
    file.write_bytes(body[: int(len(body) * share)])
    await refused(file, empty, "cut off or no dump")


def rewrite(file: Path, change: Callable[[dict[str, bytes]], None]) -> None:
    """A whole archive with other members."""
    with zipfile.ZipFile(file) as opened:
        members = {name: opened.read(name) for name in opened.namelist()}
    change(members)
    with zipfile.ZipFile(file, "w") as made:
        for name, body in members.items():
            made.writestr(name, body)


def manifest(change: Callable[[dict[str, Any]], None]) -> Callable[[dict[str, bytes]], None]:
    def rewritten(members: dict[str, bytes]) -> None:
        found = json.loads(members[MANIFEST])
        change(found)
        members[MANIFEST] = json.dumps(found).encode()

    return rewritten


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (manifest(lambda found: found.update(version=FORMAT_VERSION + 1)), "has format 2"),
        (manifest(lambda found: found.update(format="other")), "no dump of Shelf"),
        (manifest(lambda found: found["types"]["Page"].update(colour="String")), r"Page\.colour"),
        (manifest(lambda found: found["types"]["Page"].update(page="String")), r"Page\.page"),
        (manifest(lambda found: found["books"][FIRST]["documents"].update(Page=4)), "has 3 documents and not 4"),
        (manifest(lambda found: found.pop("books")), MANIFEST),
        (lambda members: members.pop(MANIFEST), "has no manifest.json"),
        (lambda members: members.pop(f"books/{FIRST}/Page.jsonl"), "not what the manifest lists"),
        (lambda members: members.pop(f"artifacts/{SHARED}"), f"artifacts/{SHARED}"),
        (lambda members: members.update({"books/../../evil": b""}), "not what the manifest lists"),
        (lambda members: members.update({f"books/{FIRST}/Page.jsonl": b"{}\n"}), "Page.jsonl"),
    ],
)
async def test_another_archive(
    file: Path, empty: Library, change: Callable[[dict[str, bytes]], None], match: str
) -> None:
    rewrite(file, change)
    await refused(file, empty, match)


async def test_no_file_and_no_archive(tmp_path: Path, empty: Library) -> None:
    await refused(tmp_path / "none.zip", empty, "no file")
    (tmp_path / "x.zip").write_text("hello")
    await refused(tmp_path / "x.zip", empty, "no dump")
