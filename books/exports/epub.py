"""EPUB 3.3: sections as XHTML, contents, printed page numbers as page list, notes, figures, cover.

The same book gives the same bytes: dates are fixed, and `dcterms:modified`, which a package must have, is the first day of the
year of publication. Source: EPUB 3.3 (packages, navigation), EPUB Accessibility 1.1 and DPUB-ARIA 1.1 (page breaks, notes).
"""

from __future__ import annotations

import uuid
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from books.exports import xml
from books.exports.content import Block, Section, legal_levels, title_of
from books.exports.job import Export
from books.exports.notes import NoteLink, body_of, link_notes
from books.exports.pictures import COVER_DPI, Picture, picture
from books.exports.text import gap

NAMESPACE = uuid.UUID("6ba7b811-9dad-11d1-80b4-00c04fd430c8")
"""Of names that are URLs (RFC 4122, appendix C): a book without an ISBN is identified by `shelf:` and its key."""

STYLE = """\
body { line-height: 1.4; }
p { margin: 0; text-indent: 1.2em; }
h1 + p, h2 + p, h3 + p, h4 + p, h5 + p, h6 + p, p.contents, p.caption, p.gap, p.list { text-indent: 0; }
p.caption { text-align: center; font-size: 0.9em; }
p.gap { font-style: italic; margin: 1em 0; }
p.list { margin-left: 1.2em; }
aside { font-size: 0.9em; margin: 0.5em 0; }
figure { margin: 1em 0; text-align: center; }
img { max-width: 100%; }
"""

HTML = {"xmlns": "http://www.w3.org/1999/xhtml", "xmlns:epub": "http://www.idpf.org/2007/ops"}
MATTER = {"front": "frontmatter", "body": "bodymatter", "back": "backmatter"}


@dataclass(slots=True)
class _Book:
    """The package as it grows."""

    export: Export
    language: str
    files: dict[str, bytes] = field(default_factory=dict)
    """Path in the package folder -> content, in the order of the archive."""
    manifest: list[str] = field(default_factory=list)
    spine: list[str] = field(default_factory=list)
    targets: dict[int, str] = field(default_factory=dict)
    """Physical page -> where it begins: `text/section-001.xhtml#page-5`."""
    figures: int = 0

    def add(
        self, path: str, media_type: str, body: bytes, properties: str | None = None, *, spine: bool = False
    ) -> None:
        name = path.rpartition("/")[2].replace(".", "-")
        self.files[path] = body
        attributes = {"id": name, "href": path, "media-type": media_type, "properties": properties}
        self.manifest.append(xml.tag("item", attributes))
        if spine:
            self.spine.append(xml.tag("itemref", {"idref": name}))


def write_epub(export: Export, target: Path) -> None:
    """Raises BadSource where the cover or a figure cannot be rendered."""
    book = _Book(export, export.view.book.language or "und")
    title = title_of(export.view)
    cover = picture(export, 1, dpi=COVER_DPI) if export.view.page(1) is not None else None
    if cover is not None:
        _add_cover(book, cover, title)
    sections = _with_text(export.content.sections)
    paths = [f"text/section-{number:03d}.xhtml" for number in range(1, len(sections) + 1)]
    for path, section in zip(paths, sections, strict=True):
        _add_section(book, path, section)
    book.add("style.css", "text/css", STYLE.encode())
    book.add("nav.xhtml", "application/xhtml+xml", _nav(book, sections, paths, cover is not None), "nav")
    package = _package(book, title)
    with zipfile.ZipFile(target, "w") as archive:
        _put(archive, "mimetype", b"application/epub+zip", zipfile.ZIP_STORED)
        _put(archive, "META-INF/container.xml", CONTAINER.encode())
        _put(archive, "EPUB/package.opf", package)
        for path, body in book.files.items():
            stored = path.endswith((".jpg", ".png"))
            _put(archive, f"EPUB/{path}", body, zipfile.ZIP_STORED if stored else zipfile.ZIP_DEFLATED)


CONTAINER = (
    xml.DECLARATION
    + '<container version="1.0" xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles>'
    + '<rootfile full-path="EPUB/package.opf" media-type="application/oebps-package+xml"/></rootfiles></container>\n'
)


def _put(archive: zipfile.ZipFile, name: str, body: bytes, method: int = zipfile.ZIP_DEFLATED) -> None:
    info = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
    info.compress_type = method
    info.external_attr = 0o644 << 16
    info.create_system = 3
    archive.writestr(info, body)


def _with_text(sections: Sequence[Section]) -> list[Section]:
    """Sections that have more than page breaks; the breaks of the others move to the next one."""
    kept: list[Section] = []
    carried: list[Block] = []
    for section in sections:
        blocks = carried + section.blocks
        if all(block.kind == "page" for block in blocks):
            carried = blocks
            continue
        carried = []
        kept.append(
            Section(section.title, section.number, section.level, section.page, section.bucket, section.matter, blocks)
        )
    if carried and kept:
        kept[-1].blocks += carried
    elif carried:
        kept.append(Section(sections[0].title, page=1, blocks=carried))
    return kept


def _add_cover(book: _Book, cover: Picture, title: str) -> None:
    name = f"images/cover.{cover.suffix}"
    book.add(name, cover.media_type, cover.body, "cover-image")
    image = xml.tag("img", {"src": f"../{name}", "alt": f"First page of {title}", "role": "doc-cover"})
    body = xml.tag("body", {"epub:type": "cover"}, image)
    book.add("text/cover.xhtml", "application/xhtml+xml", _page(book, title, body), spine=True)


def _page(book: _Book, title: str, body: str) -> bytes:
    head = xml.tag(
        "head",
        None,
        xml.leaf("title", title or "–"),
        xml.tag("link", {"rel": "stylesheet", "type": "text/css", "href": "../style.css"}),
    )
    html = xml.tag("html", {**HTML, "lang": book.language, "xml:lang": book.language}, head, body)
    return (xml.DECLARATION + "<!DOCTYPE html>\n" + html + "\n").encode()


# Sections -------------------------------------------------------------------------------------------------------------


def _add_section(book: _Book, path: str, section: Section) -> None:
    parts = list(_parts(book, path, section))
    chapter = {"epub:type": "chapter", "role": "doc-chapter"} if not section.bucket else {}
    labelled = {} if any(block.kind == "heading" for block in section.blocks) else {"aria-label": section.heading}
    wrapped = xml.tag("section", {**chapter, **(labelled if chapter else {})}, "\n", *parts)
    body = xml.tag("body", {"epub:type": MATTER.get(section.matter, "bodymatter")}, wrapped)
    book.add(path, "application/xhtml+xml", _page(book, section.heading, body), spine=True)


def _parts(book: _Book, path: str, section: Section) -> Iterator[str]:
    links = link_notes(section.blocks)
    noted = {link.note: link for link in links}
    by_block: dict[int, list[NoteLink]] = {}
    for link in links:
        by_block.setdefault(link.block, []).append(link)
    blocks = section.blocks
    captioned = {
        at + 1 for at, block in enumerate(blocks[:-1]) if block.kind == "figure" and blocks[at + 1].kind == "caption"
    }
    for at, block in enumerate(blocks):
        if at in captioned:
            continue
        inline = _inline(book, path, block, by_block.get(at, []))
        match block.kind:
            case "page":
                yield _page_break(book, path, block.page)
                book.export.progress(block.page, book.export.page_count)
            case "gap":
                yield xml.leaf("p", gap(book.export, block.page), {"class": "gap"})
            case "heading":
                yield xml.tag(f"h{min(6, max(1, block.level))}", None, inline)
            case "footnote" if at in noted:
                link = noted[at]
                back = xml.leaf("a", link.mark, {"href": f"#ref-{at}", "role": "doc-backlink"})
                note = xml.tag("p", None, back, " ", xml.text(body_of(block.text)))
                yield xml.tag("aside", {"epub:type": "footnote", "role": "doc-footnote", "id": f"note-{at}"}, note)
            case "footnote":
                yield xml.tag("aside", {"epub:type": "footnote", "role": "doc-footnote"}, xml.tag("p", None, inline))
            case "figure" if block.crop is not None:
                caption = blocks[at + 1] if at + 1 in captioned else None
                yield _figure(book, path, block, caption)
            case "text":
                yield xml.tag("p", None, inline)
            case _:
                yield xml.tag("p", {"class": block.kind}, inline)
        yield "\n"


def _figure(book: _Book, path: str, block: Block, caption: Block | None) -> str:
    assert block.crop is not None
    book.figures += 1
    made = picture(book.export, *block.crop)
    name = f"images/figure-{book.figures:03d}.{made.suffix}"
    book.add(name, made.media_type, made.body)
    alternative = (
        caption.text if caption else block.text
    ) or f"Figure on page {book.export.label(block.page) or block.page}"
    image = xml.tag("img", {"src": f"../{name}", "alt": alternative})
    below = xml.tag("figcaption", None, _inline(book, path, caption, [])) if caption else ""
    return xml.tag("figure", None, image, below)


def _inline(book: _Book, path: str, block: Block, links: Sequence[NoteLink]) -> str:
    """The text with page breaks and references to notes in it."""
    changes = [(at, at, _page_break(book, path, page)) for at, page in block.breaks] + [
        (
            link.start,
            link.end,
            xml.leaf(
                "a",
                block.text[link.start : link.end],
                {"epub:type": "noteref", "role": "doc-noteref", "id": f"ref-{link.note}", "href": f"#note-{link.note}"},
            ),
        )
        for link in links
    ]
    done, parts = 0, []
    for start, end, put in sorted(changes, key=lambda change: change[:2]):
        parts += [xml.text(block.text[done:start]), put]
        done = max(done, end)
    return "".join([*parts, xml.text(block.text[done:])])


def _page_break(book: _Book, path: str, number: int) -> str:
    """A place to go to; a page break for readers where a number is printed, or none is in the whole book."""
    name = book.export.page_ids[number]
    book.targets[number] = f"{path}#{name}"
    printed = _page_name(book.export, number)
    if not printed:
        return xml.tag("span", {"id": name})
    return xml.tag(
        "span",
        {
            "epub:type": "pagebreak",
            "role": "doc-pagebreak",
            "id": name,
            "title": printed,
            "aria-label": f" {printed}. ",
        },
    )


def _page_name(export: Export, number: int) -> str:
    """The printed number; the physical one if no page of the book has a printed one."""
    if any(export.label(at) for at in range(1, export.page_count + 1)):
        return export.label(number)
    return str(number)


# Navigation and package -----------------------------------------------------------------------------------------------


def _nav(book: _Book, sections: Sequence[Section], paths: Sequence[str], cover: bool) -> bytes:
    levels = legal_levels([section.level for section in sections])
    toc = xml.tag("nav", {"epub:type": "toc", "role": "doc-toc"}, xml.leaf("h1", "Contents"))
    toc = toc.removesuffix("</nav>") + _nested(list(zip(levels, sections, paths, strict=True))) + "</nav>\n"
    body = toc
    listed = [
        xml.tag("li", None, xml.leaf("a", name, {"href": book.targets[number]}))
        for number in sorted(book.targets)
        if (name := _page_name(book.export, number))
    ]
    if listed:
        pages = xml.tag("ol", None, *listed)
        attributes = {"epub:type": "page-list", "role": "doc-pagelist", "hidden": "hidden"}
        body += xml.tag("nav", attributes, xml.leaf("h2", "Pages"), pages) + "\n"
    first = next((path for path, section in zip(paths, sections, strict=True) if section.matter == "body"), paths[0])
    marks = [("bodymatter", "Text", first)]
    if cover:
        marks.insert(0, ("cover", "Cover", "text/cover.xhtml"))
    entries = [xml.tag("li", None, xml.leaf("a", name, {"epub:type": kind, "href": at})) for kind, name, at in marks]
    landmarks = xml.tag("ol", None, *entries)
    body += xml.tag("nav", {"epub:type": "landmarks", "hidden": "hidden"}, xml.leaf("h2", "Landmarks"), landmarks)
    page = _page(book, "Contents", xml.tag("body", None, body))
    return page.replace(b"../style.css", b"style.css")


def _nested(rows: Sequence[tuple[int, Section, str]]) -> str:
    """Lists in lists by level; levels go down one at a time."""
    parts = []
    depth = 0
    for level, section, path in rows:
        if level > depth:
            parts.append("<ol>")
        else:
            parts.append("</li>" + "</ol></li>" * (depth - level))
        parts.append("<li>" + xml.leaf("a", section.heading or "–", {"href": path}))
        depth = level
    return "".join(parts) + "</li></ol>" * depth


def _package(book: _Book, title: str) -> bytes:
    known = book.export.view.book
    isbn = known.isbn[0] if known.isbn else None
    identifier = f"urn:isbn:{isbn}" if isbn else f"urn:uuid:{uuid.uuid5(NAMESPACE, f'shelf:{book.export.view.key}')}"
    printed = ", ".join(str(value) for value in (title, known.place, known.publisher, known.year) if value)
    fields = [
        xml.leaf("dc:identifier", identifier, {"id": "identifier"}),
        xml.leaf("dc:title", title, {"id": "title"}),
        xml.leaf("meta", "main", {"refines": "#title", "property": "title-type"}),
        xml.leaf("dc:language", book.language),
        xml.leaf("meta", f"{known.year or 1970:04d}-01-01T00:00:00Z", {"property": "dcterms:modified"}),
        xml.leaf("dc:source", f"urn:isbn:{isbn}" if isbn else printed, {"id": "source"}),
        xml.leaf("meta", "pagination", {"refines": "#source", "property": "source-of"}),
    ]
    if known.subtitle:
        fields += [
            xml.leaf("dc:title", known.subtitle, {"id": "subtitle"}),
            xml.leaf("meta", "subtitle", {"refines": "#subtitle", "property": "title-type"}),
        ]
    for number, author in enumerate(known.authors or []):
        fields += [
            xml.leaf("dc:creator", author, {"id": f"author-{number}"}),
            xml.leaf("meta", "aut", {"refines": f"#author-{number}", "property": "role", "scheme": "marc:relators"}),
        ]
    if known.publisher:
        fields.append(xml.leaf("dc:publisher", known.publisher))
    if known.year:
        fields.append(xml.leaf("dc:date", f"{known.year:04d}"))
    if known.description:
        fields.append(xml.leaf("dc:description", known.description))
    fields += [xml.leaf("dc:contributor", name) for name in known.contributors or []]
    fields += [xml.leaf("dc:subject", subject) for subject in known.subjects or []]
    features = ("tableOfContents", "pageNavigation", "pageBreakMarkers", "readingOrder")
    fields += [xml.leaf("meta", feature, {"property": "schema:accessibilityFeature"}) for feature in features]
    modes = ("textual", "visual") if book.figures else ("textual",)
    fields += [xml.leaf("meta", mode, {"property": "schema:accessMode"}) for mode in modes]
    fields += [
        xml.leaf("meta", "textual", {"property": "schema:accessModeSufficient"}),
        xml.leaf("meta", "none", {"property": "schema:accessibilityHazard"}),
    ]
    names = {"xmlns:dc": "http://purl.org/dc/elements/1.1/"}
    root = {
        "xmlns": "http://www.idpf.org/2007/opf",
        "version": "3.0",
        "unique-identifier": "identifier",
        "xml:lang": book.language,
    }
    package = xml.tag(
        "package",
        root,
        xml.tag("metadata", names, "\n", "\n".join(fields), "\n"),
        xml.tag("manifest", None, "\n", "\n".join(book.manifest), "\n"),
        xml.tag("spine", None, *book.spine),
    )
    return (xml.DECLARATION + package + "\n").encode()
