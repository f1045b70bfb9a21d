"""Decides what stands in a block of words on which the readings of several engines differ.

The rules, in the order in which they are tried; a word of the blend carries the name of the one that decided:

    agreed       all read the same letters and blanks
    damage       a broken font's characters lose their vote
    typography   they differ only in quotes and dashes: the typographic sign is kept
    spacing      they differ only in blanks
    leaders      dot leaders that an engine took for letters, or that only one kept
    majority     three or more engines: more than half of them read the same
    characters   three or more engines: majority letter by letter gives a known word
    bullet       the sign before an item, of which the other made a letter
    case         they differ only in capitals: the one without capitals inside a word
    stop         full stop or comma: a comma where a small letter follows
    script       one reading has signs of another script in it
    lexicon      one reading consists of known words, the pivot's does not
    number       readings with digits: the one without letters inside, else the pivot's; confidence is halved
    confidence   the pivot doubts itself and the other does not
    only-one     only one engine read anything here, and its evidence is good
    pivot        nothing spoke against the pivot
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Container, Sequence
from dataclasses import dataclass

from rapidfuzz.distance import Levenshtein

from providers.text_damage import is_broken
from providers.vote.align import Block, plain
from schemas.reading import Box, Word

SURE = 95.0
"""A single sign or letter that only one engine has is mostly a bullet, a rule or speckle: kept from here on."""

DOUBT = 15.0
"""The pivot's word gives way if its confidence is lower than the other's by this much (of 100). Engines are not
calibrated alike (a right word has 96 in Tesseract, 99 in RapidOCR), so smaller differences say nothing."""

GOOD = 60.0
"""A word that only one engine has is kept from this confidence on (of 100), unless it is a known word.
Tesseract's words on speckle and rules have 0 to 50, real ones that RapidOCR missed 70 to 97."""

LEADER_WIDTH = 4.0
"""Heights of the line: shorter noise between words is speckle, not leaders."""

BULLETS = frozenset("•●■▪◦○·")
"""Signs before the items of a list."""

_EDGES = re.compile(r"^\W+|\W+$")
_LEADERS = re.compile(r"^[.·…_\-–—•,:;'‘’~*]{3,}$")


@dataclass(frozen=True, slots=True)
class Decision:
    """The words that stand, and why; `voters` are the indices of the readings that have exactly them."""

    words: tuple[Word, ...]
    rule: str
    voters: tuple[int, ...]


def key(text: str) -> str:
    """A word as the lexicon has it: no signs around it, lower case, ASCII apostrophes."""
    return _EDGES.sub("", plain(text)).casefold()


def known(words: Sequence[Word], lexicon: Container[str]) -> bool:
    """All words with letters are in the lexicon (and there is at least one)."""
    keys = [key(word.text) for word in words]
    keys = [k for k in keys if any(c.isalpha() for c in k)]
    return bool(keys) and all(k in lexicon or all(part in lexicon for part in re.split("[-/]", k)) for k in keys)


def is_leader(text: str) -> bool:
    """A run of dots (or of what engines make of dots: mid-dots, dashes, commas) without a letter or digit."""
    return bool(_LEADERS.match(text)) and plain(text).count(".") * 2 >= len(text)


def decide(
    block: Block,
    pivot: int,
    lexicon: Container[str],
    *,
    between: bool = False,
    first: bool = False,
    following: str = "",
) -> Decision:
    """What stands in this block. `between`: other text stands left and right of it, or a wide gap begins; `first`: nothing
    stands before it in the line; `following`: the next word of the line."""
    texts = [" ".join(word.text for word in words) for words in block]
    if all(text == texts[0] for text in texts):
        return Decision(block[pivot], "agreed", tuple(range(len(block))))
    broken = [is_broken(text) for text in texts]
    if any(broken) and any(text and not bad for text, bad in zip(texts, broken, strict=True)):
        return _undamaged(block, texts, broken, pivot, lexicon)
    decision = _without_letters_differing(block, texts, pivot, lexicon)
    if decision is None:
        decision = _leaders(block, texts, between=between, lexicon=lexicon)
    if decision is None and len(block) > 2:
        decision = _majority(block, texts, pivot, lexicon)
    if decision is None and first and following:
        decision = _bullet(block, texts)
    if decision is None:
        decision = _by_form(block, texts, pivot, following)
    if decision is None:
        decision = _evidence(block, texts, pivot, lexicon)
    stands = " ".join(word.text for word in decision.words)
    return Decision(decision.words, decision.rule, tuple(i for i, text in enumerate(texts) if text == stands))


def _undamaged(block: Block, texts: list[str], broken: list[bool], pivot: int, lexicon: Container[str]) -> Decision:
    """What the readings say whose characters are those of a text. Those that read nothing have no say here: there is ink."""
    sound = [i for i, bad in enumerate(broken) if texts[i] and not bad]
    among = decide(tuple(block[i] for i in sound), sound.index(pivot) if pivot in sound else 0, lexicon)
    return Decision(among.words, "damage", tuple(sound[i] for i in among.voters))


def _without_letters_differing(block: Block, texts: list[str], pivot: int, lexicon: Container[str]) -> Decision | None:
    """Readings that differ only in quotes and dashes, or in blanks (and signs between words)."""
    if not all(texts):
        return None
    if len({plain(text) for text in texts}) == 1:
        return Decision(_typographic(block, pivot), "typography", ())
    if len({plain(text).replace(" ", "") for text in texts}) == 1:
        candidates = [_typographic_pieces(block, i) for i in range(len(block))]
        finest = _at_all_boundaries(candidates)
        if finest is not None:
            candidates.append(finest)
        best = max(range(len(candidates)), key=lambda i: (_spacing_score(candidates[i], lexicon), i == pivot))
        return Decision(candidates[best], "spacing", ())
    bare = [tuple(word for word in words if key(word.text) or word.confidence is None) for words in block]
    if all(bare) and len({"".join(key(word.text) for word in words) for words in bare}) == 1:
        best = max(range(len(bare)), key=lambda i: (_spacing_score(bare[i], lexicon), i == pivot))
        if len(bare[best]) > len(bare[pivot]):
            return Decision(bare[best], "spacing", ())
    return None


def _typographic_pieces(block: Block, which: int) -> tuple[Word, ...]:
    """The words of one reading, with the signs of all readings that have the same letters in their typographic form."""
    streams = ["".join(word.text for word in words) for words in block]
    best = [next((stream[i] for stream in streams if not stream[i].isascii()), c) for i, c in enumerate(streams[which])]
    words, at = [], 0
    for word in block[which]:
        words.append(with_text(word, "".join(best[at : at + len(word.text)])))
        at += len(word.text)
    return tuple(words)


def _at_all_boundaries(candidates: Sequence[Sequence[Word]]) -> tuple[Word, ...] | None:
    """The letters cut wherever any reading has a blank; boxes are shared out by letters."""
    ends = [list(itertools.accumulate(len(word.text) for word in words)) for words in candidates]
    cuts = sorted({end for offsets in ends for end in offsets})
    if any(len(offsets) == len(cuts) for offsets in ends):
        return None
    pieces: list[Word] = []
    words, offsets = candidates[0], ends[0]
    start, index = 0, 0
    for end in cuts:
        while offsets[index] <= start:
            index += 1
        word, first = words[index], offsets[index] - len(words[index].text)
        x0, y0, x1, y1 = word.box
        step = (x1 - x0) / max(1, len(word.text))
        box = (x0 + step * (start - first), y0, x0 + step * (end - first), y1)
        pieces.append(Word(word.text[start - first : end - first], box, word.confidence))
        start = end
    return tuple(pieces)


def _typographic(block: Block, pivot: int) -> tuple[Word, ...]:
    """The pivot's words with every quote and dash in its typographic form if any reading has it so."""
    words = []
    for column in zip(*block, strict=True):
        text = "".join(
            next((c for c in letters if not c.isascii()), letters[pivot])
            for letters in zip(*(word.text for word in column), strict=True)
        )
        words.append(with_text(column[pivot], text))
    return tuple(words)


def with_text(word: Word, text: str) -> Word:
    """The same word with another text."""
    return word if word.text == text else Word(text=text, box=word.box, confidence=word.confidence)


_CLITICS = {"ve", "re", "ll", "s", "t", "d", "m"}


def _spacing_score(words: Sequence[Word], lexicon: Container[str]) -> tuple[int, int]:
    """Prefer known pieces; else more pieces, because engines lose blanks more often than they invent them.

    Not if a piece is no word on its own: signs that belong to the word before, single consonants.
    """
    odd = 0
    address = False
    for i, word in enumerate(words):
        core = key(word.text)
        if i and _goes_on(words[i - 1].text, word.text, address=address):
            odd += 2  # more than known pieces make up for
        else:
            address = False
        address = address or bool(_ADDRESS.search(word.text))
        if not core:
            odd += word.text not in {"&", "—", "–", "-", "+", "=", "/", "©", "§", "*", "•", "|"}
        elif len(core) == 1 and core.isalpha() and core not in "aio" and not word.text[0].isupper():
            odd += 1
        if i and (plain(word.text)[0] in ",.;:!?)]}" or (plain(words[i - 1].text)[-1] == "'" and core in _CLITICS)):
            odd += 1
        if len(word.text) > 1 and word.text[-1] == "/":
            odd += 1
    if known(words, lexicon):
        odd -= 1
    return (-odd, len(words))


_ADDRESS = re.compile(r"://|^\W*www\.|[^\W_]@[^\W_]")
_HOST = re.compile(r"^\.?(?:com|edu|gov|net|org)\b")
_SUSPENDED = {"and", "or", "et", "ou", "und", "oder", "y", "o", "e"}
"""After "pre-" a blank is right before these."""


def _goes_on(before: str, after: str, *, address: bool) -> bool:
    """No blank belongs here: inside an address, which `before` is part of, or behind a compound's hyphen."""
    if (before[-1] == "." or after[0] == ".") and _HOST.match(after):
        return True
    if address:
        return before[-1] in "/_=?&#~" or after[0] in "/_=?&#" or (before[-1] in ".-" and after[0].islower())
    return plain(before)[-1] == "-" and before[-2:-1].isalnum() and after[0].isalnum() and key(after) not in _SUSPENDED


def _leaders(block: Block, texts: list[str], *, between: bool, lexicon: Container[str]) -> Decision | None:
    """Dot leaders: one reading has dots where the other has dots with letters in them, or letters, or nothing.

    What follows the leaders in the same block (a page number that the other engine lost) is kept on its own evidence.
    """
    dots = [words and all(_DOTS.match(word.text) for word in words) for words in block]
    first = [key(words[0].text) if len(words) > 1 else "" for words in block]
    if first[0] and len(set(first)) == 1 and all(_is_noise(word) for words in block for word in words[1:]):
        # Leaders begin right behind the word, and one engine took their first dot for its full stop.
        word = min((words[0] for words in block), key=lambda word: len(word.text))
        return Decision((word, _merged(block[0][1:], "....")), "leaders", ())
    if any(dots) and all(
        dotted or all(_is_noise(word) for word in words) for dotted, words in zip(dots, block, strict=True)
    ):
        spoken = [words for words, dotted in zip(block, dots, strict=True) if dotted]
    elif between and not all(block):
        spoken = [words for words in block if words]
    else:
        return None
    tails = []
    for words in spoken:
        noise = 0
        while noise < len(words) and _is_noise(words[noise]):
            noise += 1
        if not noise:
            return None
        tails.append((words[:noise], words[noise:]))
    noise_words, tail = max(tails, key=lambda item: len(item[1]))
    x0, _, x1, _ = union([word.box for word in noise_words])
    dotted = any(is_leader(word.text) or (is_dots(word.text) and len(word.text) > 1) for word in noise_words)
    if not dotted and x1 - x0 < LEADER_WIDTH * max(word.box[3] - word.box[1] for word in noise_words):
        return None
    kept = _single(tail, lexicon).words
    return Decision((_merged(noise_words, "...."), *kept), "leaders", ())


def is_dots(text: str) -> bool:
    """Nothing but dots."""
    return bool(_DOTS.match(text))


_DOTS = re.compile(r"^[.·…‥]+$")


def _is_noise(word: Word) -> bool:
    """Dots, or letters that an engine made of dots: without confidence, or with many dots between them."""
    text = word.text
    if is_leader(text) or _DOTS.match(text):
        return True
    if text.count(".") + text.count("…") >= max(3, 0.3 * len(text)):
        return True
    return word.confidence is not None and word.confidence < 40 and not any(c.isdigit() for c in text)


def _merged(words: Sequence[Word], text: str) -> Word:
    return Word(text=text, box=union([word.box for word in words]), confidence=None)


def union(boxes: Sequence[Box]) -> Box:
    """The smallest box that holds all of them."""
    return (
        min(box[0] for box in boxes),
        min(box[1] for box in boxes),
        max(box[2] for box in boxes),
        max(box[3] for box in boxes),
    )


def _majority(block: Block, texts: list[str], pivot: int, lexicon: Container[str]) -> Decision | None:
    """Word majority, then letter majority (ROVER, Fiscus 1997; here only inside one block)."""
    counts = Counter(plain(text) for text in texts)
    text, votes = counts.most_common(1)[0]
    if votes * 2 > len(texts) or (votes > 1 and all(n == 1 for t, n in counts.items() if t != text)):
        same = [i for i, t in enumerate(texts) if plain(t) == text]
        if not text:
            return Decision((), "majority", ())
        return Decision(
            _typographic(tuple(block[i] for i in same), same.index(pivot) if pivot in same else 0), "majority", ()
        )
    if len(block[pivot]) == 1 and sum(len(words) == 1 for words in block) > 2:
        voted = _vote_letters(texts[pivot], [texts[i] for i, words in enumerate(block) if len(words) == 1])
        word = block[pivot][0]
        if voted != word.text and known([with_text(word, voted)], lexicon) and not known([word], lexicon):
            return Decision((with_text(word, voted),), "characters", ())
    return None


def _vote_letters(pivot: str, texts: Sequence[str]) -> str:
    """Majority at every letter of the pivot and in every gap between its letters."""
    slots: list[Counter[str]] = [Counter() for _ in range(2 * len(pivot) + 1)]
    for text in texts:
        for edit in Levenshtein.opcodes(pivot, text):
            tag, a0, a1, b0, b1 = edit.tag, edit.src_start, edit.src_end, edit.dest_start, edit.dest_end
            if tag == "insert":
                slots[2 * a0][text[b0:b1]] += 1
                continue
            for step in range(a1 - a0):
                slots[2 * (a0 + step) + 1]["" if tag == "delete" else text[b0 + step]] += 1
    result = []
    for i, slot in enumerate(slots):
        if i % 2 == 0:
            slot[""] += len(texts) - slot.total()
            default = ""
        else:
            default = pivot[i // 2]
        best, votes = slot.most_common(1)[0]
        result.append(best if votes * 2 > len(texts) else default)
    return "".join(result)


def _bullet(block: Block, texts: list[str]) -> Decision | None:
    """A bullet at the start of a line, for which the others have one sign or small letter: they know no bullets, or saw it
    small. Numbers, capitals, dashes and asterisks stand before items themselves."""
    told = [i for i, text in enumerate(texts) if text in BULLETS]
    if not told:
        return None
    others = [text for text in texts if text not in BULLETS]
    if not all(
        len(text) == 1 and not text.isdigit() and not text.isupper() and plain(text) not in "-*" for text in others
    ):
        return None
    return Decision(block[told[0]], "bullet", ())


def _by_form(block: Block, texts: list[str], pivot: int, following: str) -> Decision | None:
    """Readings that differ in something that only one of them can have right: capitals, a stop, the script."""
    others = [i for i in range(len(block)) if i != pivot and block[i]]
    if not block[pivot] or not others:
        return None
    mine = texts[pivot]
    for i in others:
        theirs = texts[i]
        if mine.lower() == theirs.lower() and not _regular(mine) and _regular(theirs):
            return Decision(block[i], "case", ())
        if mine[:-1] == theirs[:-1] and {mine[-1], theirs[-1]} == {",", "."} and following[:1].islower():
            return Decision(block[pivot if mine[-1] == "," else i], "stop", ())
        if _FAR.search(mine) and not _FAR.search(theirs) and any(c.isascii() for c in theirs):
            return Decision(block[i], "script", ())
    return None


_FAR = re.compile("[\u2e80-\u9fff\uac00-\ud7af\uf900-\ufaff\uff00-\uffef]")
"""East Asian signs: RapidOCR's model has them, and reads them from bullets and logos."""


def _regular(text: str) -> bool:
    """No word with a capital after a small letter, or a small letter after two capitals ("sOme", "GEIco")."""
    return not re.search(r"[a-z][A-Z]|[A-Z]{2}[a-z]", text.replace("Mc", "").replace("Mac", "").replace("'s", ""))


def _evidence(block: Block, texts: list[str], pivot: int, lexicon: Container[str]) -> Decision:
    """Two readings, or several without a majority."""
    others = [i for i in range(len(block)) if i != pivot and block[i]]
    if not block[pivot]:
        best = max(others, key=lambda i: (known(block[i], lexicon), confidence(block[i])))
        return _single(block[best], lexicon)
    if not others:
        return _single(block[pivot], lexicon)
    best = max(others, key=lambda i: (known(block[i], lexicon), confidence(block[i])))
    mine, theirs = texts[pivot], texts[best]
    digits = [[c for c in text if c.isdigit()] for text in (mine, theirs)]
    if all(digits) and digits[0] != digits[1]:
        clean = [i for i in (pivot, best) if _is_clean_number(texts[i])]
        chosen = clean[0] if clean else pivot
        return Decision(
            tuple(Word(w.text, w.box, None if w.confidence is None else w.confidence / 2) for w in block[chosen]),
            "number",
            (),
        )
    if all(digits) and not _is_clean_number(mine) and _is_clean_number(theirs):
        return Decision(block[best], "number", ())
    credible = confidence(block[best]) >= 40 or confidence(block[best]) >= confidence(block[pivot]) - DOUBT
    if credible and known(block[best], lexicon) and not known(block[pivot], lexicon):
        return Decision(block[best], "lexicon", ())
    if not known(block[pivot], lexicon) and confidence(block[best]) - confidence(block[pivot]) > DOUBT:
        return Decision(block[best], "confidence", ())
    return Decision(block[pivot], "pivot", ())


def _is_clean_number(text: str) -> bool:
    """No letter beside a digit but an ending ("1990s", "4th")."""
    return not re.search(r"[^\W\d_]\d|\d(?!(?:s|st|nd|rd|th)\b)[^\W\d_]", text)


def _single(words: tuple[Word, ...], lexicon: Container[str]) -> Decision:
    """Words that only one engine read: kept if known or read with confidence, else dropped."""
    kept = tuple(word for word in words if _stands_alone(word, lexicon))
    return Decision(kept, "only-one", ())


def _stands_alone(word: Word, lexicon: Container[str]) -> bool:
    if word.confidence is None:
        return True
    core = key(word.text)
    if len(core) < 2 and core not in {"a", "i"} and not core.isdigit():
        return word.confidence >= SURE and (not core or core.upper() == word.text)
    return word.confidence >= (GOOD - DOUBT if len(core) > 3 and known([word], lexicon) else GOOD)


def confidence(words: Sequence[Word]) -> float:
    """Mean confidence weighted by length; engines that give none are taken at their word (100)."""
    total = sum(len(word.text) for word in words)
    return sum((100.0 if w.confidence is None else w.confidence) * len(w.text) for w in words) / total if total else 0.0
