import json
from collections.abc import Callable

from cli.evidence import find_words
from schemas.reading import Line, PageReading, Word
from tests.cli.conftest import BLEND, BOOK, JOB, key_of

Shelf = Callable[..., tuple[int, str, str]]


def test_history_names_the_save_behind_every_version(shelf: Shelf) -> None:
    versions = json.loads(shelf("history", BOOK, "--json")[1])["versions"]
    metadata = next(version for version in versions if version["operation"] == "metadata")
    assert metadata["type"] == "Book"
    assert metadata["changed"]["title"] == "A [small] Book"
    assert (metadata["workflow_id"], metadata["run_id"], metadata["activity_id"]) == (JOB, "run-1", "7")
    assert metadata["at"] == "2026-01-02T03:04:05.000+00:00"
    assert metadata["url"] == f"ui/{JOB}/run-1"
    assert metadata["cid"].startswith("bafy")
    assert metadata["op_id"] == metadata["changed"]["metadata_op_id"]


def test_history_is_newest_first(shelf: Shelf) -> None:
    versions = json.loads(shelf("history", BOOK, "--page", "2", "--json")[1])["versions"]
    of_page = [(version["height"], version["operation"]) for version in versions if version["document"] == key_of(2)]
    assert of_page == [(6, "label"), (5, "label_read"), (4, "blend"), (3, "ocr"), (2, "extract"), (1, None)]
    assert {version["type"] for version in versions} == {"Page", "OcrResult"}


def test_history_for_people_shows_what_was_said(shelf: Shelf) -> None:
    code, out, _ = shelf("history", BOOK, "--page", "2")
    assert code == 0
    assert '  text = "The Doctor"' in out
    assert "blend_rev" not in out


def test_why(shelf: Shelf) -> None:
    found = json.loads(shelf("why", BOOK, "2", "doctor", "--json")[1])
    (occurrence,) = found["occurrences"]
    assert occurrence["rule"] == "lexicon"
    assert occurrence["readings"] == [
        {"provider": "tesseract", "text": "Doct0r", "confidence": 41.0},
        {"provider": "rapidocr", "text": "Doctor", "confidence": 98.0},
    ]
    assert [source["provider"] for source in found["sources"]] == ["tesseract", "rapidocr"]
    assert found["operation"] == "blend"
    assert found["cid"].startswith("bafy")
    assert found["url"] == f"ui/{JOB}/run-1"


def test_why_for_people(shelf: Shelf) -> None:
    code, out, _ = shelf("why", BOOK, "2", "doct0r")
    assert code == 0
    assert "“Doctor” in: The Doctor" in out
    assert "lexicon: this reading consists of known words" in out
    assert "tesseract   “Doct0r”, confidence 41.0" in out


def test_why_of_a_word_that_is_not_there(shelf: Shelf) -> None:
    code, _, err = shelf("why", BOOK, "2", "nurse")
    assert code == 2
    assert "'nurse' does not stand on page 2" in err


def test_why_of_a_page_that_was_not_read(shelf: Shelf) -> None:
    code, _, err = shelf("why", BOOK, "4", "word")
    assert code == 2
    assert "has no text yet" in err


def test_words_are_found_in_any_case_and_without_their_signs() -> None:
    words = [
        Word(text, (10.0 * at, 0, 10.0 * at + 9, 10))
        for at, text in enumerate(("“Day", "by", "day,”", "daylight", "..."))
    ]
    page = PageReading("vote", 400, 600, [Line(words)])

    def found(word: str) -> list[int]:
        return [at for _, at in find_words(page, word)]

    assert found("day") == [0, 2]
    assert found("light") == [3]
    assert found("...") == [4]
    assert found("night") == []
    assert [at for _, at in find_words(BLEND, "Doct0r")] == [1]
