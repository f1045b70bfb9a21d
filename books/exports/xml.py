"""XML by strings: what is written here is small and regular, and must come out the same byte for byte."""

from __future__ import annotations

import re
from collections.abc import Mapping
from xml.sax.saxutils import escape, quoteattr

DECLARATION = '<?xml version="1.0" encoding="UTF-8"?>\n'

_ILLEGAL = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 cannot hold, not even escaped."""


def text(value: object) -> str:
    """As the content of an element."""
    return escape(_ILLEGAL.sub("", str(value)))


def tag(name: str, attributes: Mapping[str, object] | None = None, *content: str) -> str:
    """An element; attributes that are None are left out, `content` is XML already."""
    opened = name + "".join(
        f" {key}={quoteattr(_ILLEGAL.sub('', str(value)))}"
        for key, value in (attributes or {}).items()
        if value is not None
    )
    return f"<{opened}>{''.join(content)}</{name}>" if content else f"<{opened}/>"


def leaf(name: str, value: object, attributes: Mapping[str, object] | None = None) -> str:
    """An element that holds text."""
    return tag(name, attributes, text(value))
