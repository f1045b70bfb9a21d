"""Metadata from title page and copyright page."""

from __future__ import annotations

import pytest

from providers.rules.confidence import ASIDE, CHECKED, DOUBTFUL, FORMULA, GUESSED, ONCE, TWICE
from providers.rules.isbn import find_isbns
from providers.rules.lexicon import language_of
from providers.rules.metadata import Metadata, extract
from providers.rules.names import looks_like_name, name_case, split_names, title_case
from schemas.reading import PageReading
from tests.providers.reading_helpers import body, line, page, sample, sample_truth


def book(title_page: PageReading, *notice: str, more: int = 6) -> list[tuple[int, PageReading]]:
    pages = [title_page]
    if notice:
        pages.append(page(*[line(text, 40, 300 + 14 * i, 7) for i, text in enumerate(notice)]))
    pages += [body(str(n), rows=12) for n in range(1, more)]
    return list(enumerate(pages, 1))


class TestIsbn:
    @pytest.mark.parametrize(
        ("text", "found"),
        [
            ("ISBN 978-1-4028-9462-6", ["9781402894626"]),
            ("ISBN-13: 978 1 4028 9462 6 (hardback)", ["9781402894626"]),
            ("ISBN-10: 0-306-40615-2", ["9780306406157"]),
            ("ISBN 0-8044-2957-X", ["9780804429573"]),
            ("ISBN 978-l-4O28-9462-6", ["9781402894626"]),
            ("ISBN 978-1-4028-9462-7", []),
            ("Tel. 020 7946 0018 and 1916", []),
        ],
    )
    def test_found_and_checked(self, text: str, found: list[str]) -> None:
        assert find_isbns(text) == found

    def test_several_in_the_order_of_print(self) -> None:
        text = "ISBN 978-92-4-005273-4 (electronic version)\nISBN 978-92-4-005274-1 (print version)"
        assert find_isbns(text) == ["9789240052734", "9789240052741"]


class TestNames:
    def test_case(self) -> None:
        assert name_case("ARCHIBALD ALEXANDER") == "Archibald Alexander"
        assert name_case("J. R. MCKAY-O'NEIL") == "J. R. McKay-O'Neil"
        assert name_case("LUDWIG VAN BEETHOVEN") == "Ludwig van Beethoven"
        assert title_case("THE WAR OF THE WORLDS") == "The War of the Worlds"
        assert title_case("Already Set") == "Already Set"

    def test_split(self) -> None:
        assert split_names("Anna Lee, M.A. and Rev. Tom Wood") == ["Anna Lee", "Tom Wood"]

    @pytest.mark.parametrize("text", ["Anna Lee", "J. R. R. Tolkien", "ANNA LEE AND TOM WOOD", "Ursula K. Le Guin"])
    def test_names(self, text: str) -> None:
        assert looks_like_name(text)

    @pytest.mark.parametrize(
        "text", ["Harbour Lane Press", "September 5, 2022", "A History of Rome", "EDINBURGH", "HCV in Children"]
    )
    def test_no_names(self, text: str) -> None:
        assert not looks_like_name(text)


class TestLanguage:
    @pytest.mark.parametrize(
        ("code", "text"),
        [
            (
                "en",
                "It was the best of times, it was the worst of times, it was the age of wisdom, and so on for all of us",
            ),
            (
                "de",
                "Es war einmal ein Mann, der hatte eine Frau, und sie lebten in einem Haus, das nicht weit von der Stadt war",
            ),
            (
                "fr",
                "Il y avait une fois un homme qui avait une femme, et ils vivaient dans une maison qui est près de la ville",
            ),
        ],
    )
    def test_by_stop_words(self, code: str, text: str) -> None:
        assert language_of(text)[0] == code

    def test_too_little_text_says_nothing(self) -> None:
        assert language_of("The end")[0] is None


class TestTitlePage:
    def test_capitals_are_cased_as_elsewhere_in_the_book(self) -> None:
        title_page = page(
            line("THE SHAPE OF DNA", 80, 120, 28),
            line("A STUDY FOR BEGINNERS", 110, 170, 14),
            line("BY", 190, 230, 10),
            line("ANNA LEE", 160, 250, 14),
            line("LONDON", 180, 520, 10),
            line("MACMILLAN AND CO.", 150, 535, 10),
            line("1904", 190, 550, 10),
        )
        found = extract(
            book(
                title_page,
                "The Shape of DNA was first published in 1904",
                "© 1904 Anna Lee, all rights reserved by her",
            )
        )
        assert found.title == "The Shape of DNA"
        assert found.subtitle == "A Study for Beginners"
        assert found.authors == ["Anna Lee"]
        assert (found.publisher, found.place, found.year) == ("Macmillan and Co", "London", 1904)
        assert found.evidence["authors"].source == "title_page"
        assert found.evidence["authors"].page == 1

    def test_evidence_names_the_page_of_its_source(self) -> None:
        title_page = page(
            line("Deep Water", 110, 120, 28),
            line("by Anna Lee", 150, 250, 14),
            line("HARBOUR LANE PRESS", 150, 520, 10),
            line("EDINBURGH", 180, 535, 10),
        )
        found = extract(book(title_page, "© 1916 Anna Lee", "Published by Harbour Lane Press Ltd, Leith"))
        assert (found.publisher, found.place) == ("Harbour Lane Press", "Edinburgh")
        evidence = {name: (found.evidence[name].source, found.evidence[name].page) for name in ("publisher", "place")}
        assert evidence == {"publisher": ("copyright_page", 2), "place": ("title_page", 1)}

    def test_two_authors_without_by(self) -> None:
        title_page = page(
            line("Deep Water", 110, 120, 28),
            line("Anna Lee and Tom Wood", 120, 220, 14),
            line("Oxford University Press", 120, 540),
        )
        found = extract(
            book(title_page, "© Anna Lee and Tom Wood 2003. All rights reserved. No part", "of this book may be copied")
        )
        assert found.title == "Deep Water"
        assert found.authors == ["Anna Lee", "Tom Wood"]
        assert found.publisher == "Oxford University Press"
        assert found.year == 2003

    def test_a_title_with_a_colon_has_a_subtitle(self) -> None:
        title_page = page(line("Salt: A World History", 60, 120, 26), line("by Mark Kurl", 150, 220, 12))
        found = extract(book(title_page))
        assert (found.title, found.subtitle, found.authors) == ("Salt", "A World History", ["Mark Kurl"])

    def test_an_organisations_copyright_is_no_author(self) -> None:
        title_page = page(line("Guidelines on Water", 70, 120, 28))
        found = extract(
            book(
                title_page,
                "Guidelines on Water",
                "© World Water Organization 2019",
                "Suggested citation. Guidelines on water.",
                "Geneva: World Water Organization; 2019.",
            )
        )
        assert found.authors == []
        assert (found.publisher, found.place, found.year) == ("World Water Organization", "Geneva", 2019)

    def test_docinfo_rubbish_is_not_believed(self) -> None:
        title_page = page(line("The Harbour", 100, 120, 28), line("by Anna Lee", 150, 220, 12))
        found = extract(book(title_page), {"title": "Microsoft Word - final_v3.doc", "author": "user"})
        assert (found.title, found.authors) == ("The Harbour", ["Anna Lee"])

    def test_nothing_printed_nothing_claimed(self) -> None:
        found = extract([(1, page()), (2, page())])
        assert found == Metadata()

    def test_foreign_isbns_in_the_text_are_not_the_books(self) -> None:
        pages = book(page(line("The Harbour", 100, 120, 28), line("by Anna Lee", 150, 220, 12)))
        cited = body("9")
        cited.lines.append(line("Smith, Boats. ISBN 978-1-4028-9462-6.", 50, 500))
        assert extract([*pages, (9, cited)]).isbn == []


@pytest.mark.parametrize("engine", ["tesseract", "rapidocr"])
def test_sample(engine: str) -> None:
    found = extract(sample(engine)[:20])
    truth = sample_truth()
    for name in ("title", "authors", "publisher", "year", "isbn", "language"):
        assert getattr(found, name) == truth[name], name
    assert found.place == "Edinburgh"
    assert found.subtitle is None
    assert all(0 < evidence.confidence <= 1 for evidence in found.evidence.values())


class TestRasterised:
    """What engines make of logos, and what else tells the title."""

    NOTICE = (
        "Safe water for schools and small towns in dry countries",
        "© World Harbour Organization 2019",
        "All rights reserved. No part of this book may be copied",
        "Suggested citation. Safe water for schools and small towns in dry countries. Geneva: World Harbour",
        "Organization; 2019. All enquiries to the publisher.",
    )

    def test_a_logo_is_no_title(self) -> None:
        title_page = page(
            line("ES World Harbour", 200, 40, 30),
            line("Organization", 230, 75, 20),
            line("SAFE WATER FOR SCHOOLS", 50, 160, 22),
            line("AND SMALL TOWNS", 50, 190, 22),
            line("IN DRY COUNTRIES", 50, 220, 22),
        )
        found = extract(book(title_page, *self.NOTICE))
        assert (found.title, found.subtitle) == ("Safe water for schools and small towns in dry countries", None)
        assert (found.publisher, found.place, found.year) == ("World Harbour Organization", "Geneva", 2019)
        assert found.evidence["title"].confidence == TWICE

    def test_a_citation_tells_what_the_title_page_was_misread_as(self) -> None:
        title_page = page(
            line("SEF VVATR FOR", 50, 130, 34),
            line("SAFE WATER FOR SCH00LS", 50, 170, 18),
            line("AND SMALL T0WNS IN DRY COUNTRIES", 50, 200, 18),
        )
        found = extract(book(title_page, *self.NOTICE))
        assert found.title == "Safe water for schools and small towns in dry countries"
        assert (found.evidence["title"].source, found.evidence["title"].page) == ("citation", 2)

    def test_one_misread_letter_does_not_cut_a_title_in_two(self) -> None:
        title_page = page(
            line("A SHORT HISTORY OF THE", 60, 120, 14),
            line("HARB0URS AND ISLANDS", 50, 145, 28),
            line("by Anna Lee", 150, 220),
        )
        notice = (
            "A short history of the harbours and islands",
            "© 1999 Anna Lee. All rights reserved by her and others",
        )
        assert (extract(book(title_page, *notice)).title or "").casefold().startswith("a short history of the harb")

    def test_confidence_follows_the_evidence(self) -> None:
        def sure(confidence: float, *notice: str) -> float:
            title_page = page(line("Deep Water", 110, 120, 28, confidence), line("by Anna Lee", 150, 220, 12))
            return extract(book(title_page, *notice)).evidence["title"].confidence

        assert sure(96, "Deep Water", "© 2003 Anna Lee. All rights reserved, no part of this may be copied") == TWICE
        assert sure(96) == ONCE
        assert sure(60) == DOUBTFUL
        assert ASIDE < DOUBTFUL < GUESSED < ONCE < FORMULA < TWICE < CHECKED < 1
