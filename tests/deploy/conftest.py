"""The deployment's files, parsed. No container engine is needed: what they name is compared with the program, and what
has a binary here is started with the very arguments."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]


def interpolated(value: Any) -> Any:
    """As Compose does it where the user has set nothing: `${NAME:-default}` and `$$`."""
    if isinstance(value, dict):
        return {key: interpolated(each) for key, each in value.items()}
    if isinstance(value, list):
        return [interpolated(each) for each in value]
    if not isinstance(value, str):
        return value
    while (inner := re.sub(r"(?<!\$)\$\{\w+:-([^${}]*)\}", r"\1", value)) != value:
        value = inner
    return value.replace("$$", "$")


@pytest.fixture(scope="session")
def compose() -> dict[str, Any]:
    """docker-compose.yml with YAML's merges and Compose's defaults carried out."""
    parsed = interpolated(yaml.safe_load((ROOT / "docker-compose.yml").read_text()))
    assert isinstance(parsed, dict)
    return parsed


@pytest.fixture(scope="session")
def services(compose: dict[str, Any]) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = compose["services"]
    return found
