"""Which language a text is in."""

from __future__ import annotations

import re
from collections import Counter

_COMMON = {
    "en": "the of and to in that is was he for it with as his on be at by had not are but from or",
    "de": "der die und in den von zu das mit sich des auf für ist im dem nicht ein eine als auch es",
    "fr": "de la le et les des en un du une que est pour qui dans par sur au plus pas ce il sont ne",
    "es": "de la que el en y a los del se las por un para con no una su al lo como más pero sus",
    "it": "di e il la che in a per un è del non con i le da una si sono nel alla della come gli",
    "pt": "de a o que e do da em um para com não uma os no se na por mais as dos como mas ao",
    "nl": "de en van ik te dat die in een hij het niet zijn is was op aan met als voor had er maar",
    "la": "et in est non ad ut cum quod qui sed si quae de ex esse ab sunt per hoc enim aut",
    "sv": "och i att det som en på är av för med till den har de inte om ett men var sig så",
    "da": "og i at det er en til på som for de med af den ikke der var et han har jeg sig",
    "pl": "w i na z do się nie że jest to o a po jak od za przez co dla jego tym był",
}
"""The commonest words of languages that are written in Latin script, by ISO 639-1 code."""

STOP_WORDS = {code: frozenset(words.split()) for code, words in _COMMON.items()}

_SCRIPTS = (
    ("ru", re.compile(r"[а-яё]", re.I)),
    ("el", re.compile(r"[α-ωάέήίόύώ]", re.I)),
    ("he", re.compile(r"[א-ת]")),
    ("ar", re.compile(r"[ء-ي]")),
    ("ja", re.compile(r"[ぁ-ゖァ-ヺ]")),
    ("ko", re.compile(r"[가-힣]")),
    ("zh", re.compile(r"[\u4e00-\u9fff]")),
)


def language_of(text: str) -> tuple[str | None, float]:
    """(ISO 639-1 code, confidence); (None, 0.0) below 20 words or without a clear winner."""
    letters = sum(c.isalpha() for c in text)
    for code, script in _SCRIPTS:
        if letters >= 40 and len(script.findall(text)) > 0.3 * letters:
            return code, 0.8
    words = Counter(re.findall(r"[^\W\d_]+", text.casefold()))
    total = words.total()
    if total < 20:
        return None, 0.0
    shares = sorted(((sum(words[w] for w in stop) / total, code) for code, stop in STOP_WORDS.items()), reverse=True)
    (best, code), (second, _) = shares[0], shares[1]
    if best < 0.08 or best < 1.3 * second:
        return (code, 0.4) if best >= 0.08 else (None, 0.0)
    return code, min(0.99, 0.6 + best)
