"""Past states of a document, rebuilt from the deltas of its commits.

DefraDB can read a past state itself (`Page(cid: ...)`), but in 0.19 that read writes: the old commit becomes a second
head, and the next update merges with it. So it is never used. Every commit of a document links the commits of
the fields that it wrote; their deltas, applied by height, give each state. Valid for last-writer-wins fields and a
linear history: one server, no peers.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from typing import Any

import cbor2

from schemas.store import Version

DOCUMENT = "_C"
"""`fieldName` of a commit of the document as a whole."""
PARENT = "_head"
"""`name` of a link to the commit before."""

COMMIT_FIELDS = "cid height fieldName delta links{name cid} signature{type identity}"
"""What to select. `signature` always: on a server that signs, a query without it panics."""


def rebuild(commits: Iterable[Mapping[str, Any]]) -> list[Version]:
    """All versions, oldest first, from all commits of one document.

    Raises ValueError where a linked commit is missing or a delta cannot be read."""
    by_cid = {commit["cid"]: commit for commit in commits}
    state: dict[str, Any] = {}
    versions: list[Version] = []
    whole = (commit for commit in by_cid.values() if commit["fieldName"] == DOCUMENT)
    for commit in sorted(whole, key=lambda commit: (commit["height"], commit["cid"])):
        changed: dict[str, Any] = {}
        for link in commit["links"]:
            if link["name"] == PARENT:
                continue
            part = by_cid.get(link["cid"])
            if part is None:
                raise ValueError(f"commit {commit['cid']} links {link['cid']} ({link['name']}), which is not there")
            changed[link["name"]] = decode_delta(part["delta"])
        state.update(changed)
        versions.append(
            Version(
                cid=commit["cid"],
                height=commit["height"],
                changed=dict(sorted(changed.items())),
                state=dict(sorted(state.items())),
                signer=signer(commit.get("signature")),
            )
        )
    return versions


def decode_delta(delta: str | None) -> Any:
    """A delta is base64 of a CBOR value. Raises ValueError."""
    if not delta:
        return None
    try:
        return cbor2.loads(base64.b64decode(delta))
    except (cbor2.CBORDecodeError, ValueError) as error:
        raise ValueError(f"unreadable delta {delta[:40]!r}: {error}") from error


def signer(signature: Mapping[str, Any] | None) -> str | None:
    """The public key (hex) of the server that signed, None where it does not sign."""
    identity = (signature or {}).get("identity")
    if not identity:
        return None
    return base64.b64decode(identity).decode("ascii", "replace")
