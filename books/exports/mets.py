"""METS 1.12 with ALTO: a folder with the source, its text page by page, and how both make a book.

    mets.xml
    alto/0001.xml …     text with places
    source/NAME         the files that the book was read from, as they are

Source: the Library of Congress, mets.xsd 1.12.1; MODS 3.7 for the description.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Sequence
from pathlib import Path

from books.exports import xml
from books.exports.alto import alto_page, file_name
from books.exports.content import legal_levels, linked_entries, title_of
from books.exports.job import Export

NAMES = {
    "xmlns": "http://www.loc.gov/METS/",
    "xmlns:xlink": "http://www.w3.org/1999/xlink",
    "xmlns:mods": "http://www.loc.gov/mods/v3",
    "xmlns:xsi": "http://www.w3.org/2001/XMLSchema-instance",
    "xsi:schemaLocation": "http://www.loc.gov/METS/ http://www.loc.gov/standards/mets/version112/mets.xsd"
    " http://www.loc.gov/mods/v3 http://www.loc.gov/standards/mods/v3/mods-3-7.xsd",
}
MEDIA_TYPES = {
    ".pdf": "application/pdf",
    ".tif": "image/tiff",
    ".tiff": "image/tiff",
    ".png": "image/png",
    ".jp2": "image/jp2",
    ".jpx": "image/jp2",
    ".j2k": "image/jp2",
}


def write_mets(export: Export, target: Path) -> None:
    """Fills the folder `target`. Raises DiskFull through its caller, ArtifactMissing."""
    (target / "alto").mkdir()
    (target / "source").mkdir()
    sources = _copy_sources(export, target / "source")
    texts = []
    for number in range(1, export.page_count + 1):
        body = alto_page(export, number).encode()
        (target / "alto" / file_name(number)).write_bytes(body)
        texts.append(
            _file(
                f"ALTO-{number:04d}",
                "text/xml",
                len(body),
                hashlib.sha256(body).hexdigest(),
                f"alto/{file_name(number)}",
            )
        )
        export.progress(number, export.page_count)
    pages = [xml.tag("fptr", {"FILEID": f"ALTO-{number:04d}"}) for number in range(1, export.page_count + 1)]
    files = xml.tag(
        "fileSec",
        None,
        "\n",
        xml.tag("fileGrp", {"ID": "SOURCE", "USE": "SOURCE"}, "\n", "\n".join(sources), "\n"),
        xml.tag("fileGrp", {"ID": "FULLTEXT", "USE": "FULLTEXT"}, "\n", "\n".join(texts), "\n"),
    )
    mets = xml.tag(
        "mets",
        {**NAMES, "OBJID": export.view.key, "TYPE": "Monograph", "LABEL": title_of(export.view)},
        "\n",
        _header(),
        _description(export),
        "\n",
        files,
        "\n",
        _physical(export, pages),
        "\n",
        *_logical(export),
    )
    (target / "mets.xml").write_text(xml.DECLARATION + mets + "\n", encoding="utf-8", newline="\n")


def _header() -> str:
    agent = xml.tag(
        "agent",
        {"ROLE": "CREATOR", "TYPE": "OTHER", "OTHERTYPE": "SOFTWARE"},
        xml.leaf("name", "Shelf"),
    )
    return xml.tag("metsHdr", None, agent) + "\n"


def _copy_sources(export: Export, folder: Path) -> list[str]:
    """Copies the files that the book shows; returns their entries. Names that occur twice get their number."""
    manifest = export.view.manifest
    used = {leaf.part for leaf in manifest.all_leaves()}
    taken: set[str] = set()
    entries = []
    for number, part in enumerate(manifest.parts):
        if number not in used:
            continue
        name = part.name.replace("/", "_").replace("#", "_")
        name = f"{number + 1:04d}-{name}" if name.casefold() in taken or name.startswith(".") else name
        taken.add(name.casefold())
        path = export.view.artifacts.file(part.sha256)
        shutil.copyfile(path, folder / name)
        suffix = Path(name).suffix.lower()
        kind = MEDIA_TYPES.get(suffix, "application/pdf" if part.kind == "pdf" else "image/jpeg")
        entries.append(
            _file(f"SOURCE-{number + 1:04d}", kind, path.stat().st_size, part.sha256, f"source/{_href(name)}")
        )
    return entries


def _href(name: str) -> str:
    from urllib.parse import quote

    return quote(name)


def _file(name: str, media_type: str, size: int, sha256: str, href: str) -> str:
    attributes = {"ID": name, "MIMETYPE": media_type, "SIZE": size, "CHECKSUM": sha256, "CHECKSUMTYPE": "SHA-256"}
    location = xml.tag("FLocat", {"LOCTYPE": "URL", "xlink:href": href})
    return xml.tag("file", attributes, location)


def _description(export: Export) -> str:
    book = export.view.book
    fields = [
        xml.tag(
            "mods:titleInfo",
            None,
            xml.leaf("mods:title", title_of(export.view)),
            xml.leaf("mods:subTitle", book.subtitle) if book.subtitle else "",
        )
    ]
    for author in book.authors or []:
        role = xml.tag(
            "mods:role", None, xml.leaf("mods:roleTerm", "aut", {"type": "code", "authority": "marcrelator"})
        )
        fields.append(xml.tag("mods:name", {"type": "personal"}, xml.leaf("mods:namePart", author), role))
    for contributor in book.contributors or []:
        name, _, role = contributor.removesuffix(")").rpartition(" (")
        term = xml.tag("mods:role", None, xml.leaf("mods:roleTerm", role, {"type": "text"})) if name else ""
        fields.append(xml.tag("mods:name", {"type": "personal"}, xml.leaf("mods:namePart", name or contributor), term))
    origin = [
        xml.tag("mods:place", None, xml.leaf("mods:placeTerm", book.place, {"type": "text"})) if book.place else "",
        xml.leaf("mods:publisher", book.publisher) if book.publisher else "",
        xml.leaf("mods:dateIssued", book.year, {"encoding": "w3cdtf"}) if book.year else "",
    ]
    if any(origin):
        fields.append(xml.tag("mods:originInfo", None, *origin))
    if book.language:
        term = xml.leaf("mods:languageTerm", book.language, {"type": "code", "authority": "rfc3066"})
        fields.append(xml.tag("mods:language", None, term))
    if book.description:
        fields.append(xml.leaf("mods:abstract", book.description))
    fields += [xml.tag("mods:subject", None, xml.leaf("mods:topic", subject)) for subject in book.subjects or []]
    fields += [xml.leaf("mods:identifier", isbn, {"type": "isbn"}) for isbn in book.isbn or []]
    if book.lccn:
        fields.append(xml.leaf("mods:identifier", book.lccn, {"type": "lccn"}))
    fields.append(xml.leaf("mods:identifier", export.view.key, {"type": "local"}))
    mods = xml.tag("mods:mods", {"version": "3.7"}, *fields)
    wrapped = xml.tag("mdWrap", {"MDTYPE": "MODS", "MIMETYPE": "text/xml"}, xml.tag("xmlData", None, mods))
    return xml.tag("dmdSec", {"ID": "BOOK"}, wrapped)


def _physical(export: Export, texts: Sequence[str]) -> str:
    """The leaves in their order, each with its printed number, its type, its text and the file that shows it."""
    manifest = export.view.manifest
    rows = []
    for number, text in enumerate(texts, start=1):
        leaf, page = manifest.leaf(number), export.view.page(number)
        label = export.label(number)
        kind = (page.page_type if page is not None else None) or ("missing" if number in export.missing else None)
        # Which page of the file it is stands beside the pointer: METS has no coordinates for pages of a PDF.
        source = xml.tag("fptr", {"FILEID": f"SOURCE-{leaf.part + 1:04d}", "CONTENTIDS": f"#page={leaf.index + 1}"})
        attributes = {
            "ID": f"PAGE-{number:04d}",
            "ORDER": number,
            "ORDERLABEL": label or None,
            "LABEL": kind,
            "TYPE": "page",
        }
        rows.append(xml.tag("div", attributes, source, text))
    book = xml.tag("div", {"ID": "PHYSICAL-BOOK", "DMDID": "BOOK", "TYPE": "physSequence"}, "\n", "\n".join(rows), "\n")
    return xml.tag("structMap", {"TYPE": "PHYSICAL"}, book)


def _logical(export: Export) -> list[str]:
    """Chapters, else the entries of the contents, and which pages belong to each."""
    rows = _chapters(export)
    levels = legal_levels([level for level, _, _, _ in rows])
    parts = []
    depth = 0
    links = []
    for at, (level, (_, name, kind, pages)) in enumerate(zip(levels, rows, strict=True), start=1):
        parts.append("</div>" * (depth - level + 1) if level <= depth else "")
        identifier = f"LOGICAL-{at:04d}"
        opened = xml.tag("div", {"ID": identifier, "TYPE": kind, "LABEL": name, "ORDER": at}, "")
        parts.append("\n" + opened.removesuffix("</div>"))
        depth = level
        links += [
            xml.tag("smLink", {"xlink:from": f"#{identifier}", "xlink:to": f"#PAGE-{page:04d}"})
            for page in pages
            if 1 <= page <= export.page_count
        ]
    inner = "".join(parts) + "</div>" * depth
    attributes = {"ID": "LOGICAL-BOOK", "DMDID": "BOOK", "TYPE": "Monograph", "LABEL": title_of(export.view)}
    whole = [
        xml.tag("smLink", {"xlink:from": "#LOGICAL-BOOK", "xlink:to": f"#PAGE-{page:04d}"})
        for page in range(1, export.page_count + 1)
    ]
    structure = xml.tag("structMap", {"TYPE": "LOGICAL"}, xml.tag("div", attributes, inner, "\n"))
    return [structure, "\n", xml.tag("structLink", None, "\n", "\n".join(whole + links), "\n"), "\n"]


def _chapters(export: Export) -> list[tuple[int, str, str, range]]:
    """(level, title, type, physical pages)."""
    view = export.view
    if view.chapters:
        return [
            (
                chapter.level or 1,
                " ".join(filter(None, (chapter.number, chapter.title))),
                (chapter.bucket or "chapter").replace(" ", "_"),
                range(chapter.start_page or 1, (chapter.end_page or chapter.start_page or 1) + 1),
            )
            for chapter in view.chapters
        ]
    entries = linked_entries(view)
    rows = []
    for at, (entry, page) in enumerate(entries):
        level = entry.level or 1
        after = next(
            (start for other, start in entries[at + 1 :] if (other.level or 1) <= level), export.page_count + 1
        )
        name = " ".join(filter(None, (entry.number, entry.title)))
        rows.append((level, name, "chapter", range(page, max(page + 1, after))))
    return rows
