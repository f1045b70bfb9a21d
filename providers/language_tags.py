"""Tesseract's names of languages, which users give, as tags of BCP 47, which services want."""

from __future__ import annotations

_TAGS = {
    "afr": "af", "amh": "am", "ara": "ar", "asm": "as", "aze": "az", "aze_cyrl": "az-Cyrl", "bel": "be", "ben": "bn",
    "bod": "bo", "bos": "bs", "bre": "br", "bul": "bg", "cat": "ca", "ceb": "ceb", "ces": "cs", "chi_sim": "zh-Hans",
    "chi_sim_vert": "zh-Hans", "chi_tra": "zh-Hant", "chi_tra_vert": "zh-Hant", "cos": "co", "cym": "cy", "dan": "da",
    "deu": "de", "deu_latf": "de", "div": "dv", "ell": "el", "eng": "en", "enm": "enm", "epo": "eo", "est": "et",
    "eus": "eu", "fao": "fo", "fas": "fa", "fil": "fil", "fin": "fi", "fra": "fr", "frk": "de", "frm": "frm", "fry": "fy",
    "gla": "gd", "gle": "ga", "glg": "gl", "grc": "grc", "guj": "gu", "hat": "ht", "heb": "he", "hin": "hi", "hrv": "hr",
    "hun": "hu", "hye": "hy", "iku": "iu", "ind": "id", "isl": "is", "ita": "it", "ita_old": "it", "jav": "jv",
    "jpn": "ja", "jpn_vert": "ja", "kan": "kn", "kat": "ka", "kat_old": "ka", "kaz": "kk", "khm": "km", "kir": "ky",
    "kmr": "ku", "kor": "ko", "kor_vert": "ko", "lao": "lo", "lat": "la", "lav": "lv", "lit": "lt", "ltz": "lb",
    "mal": "ml", "mar": "mr", "mkd": "mk", "mlt": "mt", "mon": "mn", "mri": "mi", "msa": "ms", "mya": "my", "nep": "ne",
    "nld": "nl", "nor": "no", "oci": "oc", "ori": "or", "pan": "pa", "pol": "pl", "por": "pt", "pus": "ps", "que": "qu",
    "ron": "ro", "rus": "ru", "san": "sa", "sin": "si", "slk": "sk", "slv": "sl", "snd": "sd", "spa": "es",
    "spa_old": "es", "sqi": "sq", "srp": "sr", "srp_latn": "sr-Latn", "sun": "su", "swa": "sw", "swe": "sv", "syr": "syr",
    "tam": "ta", "tat": "tt", "tel": "te", "tgk": "tg", "tgl": "tl", "tha": "th", "tir": "ti", "ton": "to", "tur": "tr",
    "uig": "ug", "ukr": "uk", "urd": "ur", "uzb": "uz", "uzb_cyrl": "uz-Cyrl", "vie": "vi", "yid": "yi", "yor": "yo",
}  # fmt: skip


def language_tags(language: str) -> list[str]:
    """Tags of the languages in "deu+eng", in order; those without one are left out."""
    return list(dict.fromkeys(_TAGS[part] for part in language.split("+") if part in _TAGS))
