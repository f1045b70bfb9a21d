from __future__ import annotations

import os
from pathlib import Path

import pytest

from providers.settings import SAMPLES, load_settings
from schemas.errors import BadInput


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.chdir(tmp_path)
    for name in ("TEMPORAL_ADDRESS", "TEMPORAL_NAMESPACE", "SHELF_DEFRADB_URL", "SHELF_HOME", "SHELF_LANGUAGE"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def test_defaults_belong_to_the_current_folder(folder: Path) -> None:
    settings = load_settings()
    assert settings.home == folder / ".shelf"
    assert settings.artifacts_dir == folder / ".shelf" / "artifacts"
    assert settings.source_roots == (folder, SAMPLES)
    assert not settings.temporal_is_external
    assert not settings.defradb_is_external


def test_precedence(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MISTRAL_API_KEY", "")  # so that it is as before in the end
    (folder / "shelf.toml").write_text('language = "fra"\n')
    assert load_settings().language == "fra"
    (folder / ".env").write_text("SHELF_LANGUAGE=ita\nMISTRAL_API_KEY=secret\n")
    assert load_settings().language == "ita"
    monkeypatch.setenv("SHELF_LANGUAGE", "spa")
    assert load_settings().language == "spa"
    assert load_settings(language="deu").language == "deu"
    assert load_settings(language=None).language == "spa"
    assert "secret" not in repr(load_settings())


def test_keys_in_the_env_file_are_as_if_they_were_set(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MISTRAL_API_KEY", "OPENROUTER_API_KEY", "OUR_KEY", "ELSE"):
        monkeypatch.setenv(name, "")  # so that all are as before in the end
    monkeypatch.setenv("OPENROUTER_API_KEY", "sk-of-the-shell")
    (folder / ".env").write_text("MISTRAL_API_KEY=sk-1\nOPENROUTER_API_KEY=sk-2\nOUR_KEY='sk-3'\nELSE=sk-4\n")
    (folder / "shelf.toml").write_text(
        '[providers.ours]\nkind = "openai-compatible"\nbase_url = "https://x.test"\nkey_env = "OUR_KEY"\n'
    )
    settings = load_settings()
    assert os.environ["MISTRAL_API_KEY"] == "sk-1"
    assert os.environ["OPENROUTER_API_KEY"] == "sk-of-the-shell"
    assert os.environ["OUR_KEY"] == "sk-3"
    assert os.environ["ELSE"] == "", "no variable of anybody else"
    assert "sk-" not in repr(settings) + settings.model_dump_json()


def test_paths_are_relative_to_the_current_folder(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHELF_HOME", "state")
    settings = load_settings(source_roots=("books", "/mnt"))
    assert settings.artifacts_dir == folder / "state" / "artifacts"
    assert settings.source_roots == (folder / "books", Path("/mnt"))


@pytest.mark.parametrize("where", ["environment", ".env", "shelf.toml"])
def test_a_named_server_is_external(folder: Path, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    if where == "environment":
        monkeypatch.setenv("TEMPORAL_ADDRESS", "there:7233")
        monkeypatch.setenv("SHELF_DEFRADB_URL", "http://there:9181")
    elif where == ".env":
        (folder / ".env").write_text("TEMPORAL_ADDRESS=there:7233\nSHELF_DEFRADB_URL=http://there:9181\n")
    else:
        (folder / "shelf.toml").write_text('temporal_address = "there:7233"\ndefradb_url = "http://there:9181"\n')
    settings = load_settings()
    assert settings.temporal_is_external
    assert settings.defradb_is_external
    assert settings.temporal_connect() == {"target_host": "there:7233", "namespace": "default"}


def test_temporals_own_configuration(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "temporal.toml").write_text('[profile.far]\naddress = "far:7233"\nnamespace = "books"\napi_key = "k"\n')
    monkeypatch.setenv("TEMPORAL_CONFIG_FILE", str(folder / "temporal.toml"))
    monkeypatch.setenv("TEMPORAL_PROFILE", "far")
    settings = load_settings()
    assert settings.temporal_is_external
    connect = settings.temporal_connect()
    assert (connect["target_host"], connect["namespace"], connect["api_key"]) == ("far:7233", "books", "k")
    assert connect["tls"]


def test_provider_rows(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "shelf.toml").write_text("[providers.tesseract]\nrequests_per_second = 5\n")
    monkeypatch.setenv("SHELF_PROVIDERS__TESSERACT__IN_FLIGHT", "3")
    assert load_settings().providers["tesseract"] == {"requests_per_second": 5, "in_flight": "3"}


@pytest.mark.parametrize(
    ("toml", "named"),
    [
        ('langauge = "eng"', "langauge"),
        ("second_opinion_share = 5", "second_opinion_share"),
        ("tesseract_processes = 0", "tesseract_processes"),
        ("language = ", "shelf.toml"),
    ],
)
def test_a_wrong_setting_is_named(folder: Path, toml: str, named: str) -> None:
    (folder / "shelf.toml").write_text(toml)
    with pytest.raises(BadInput, match=named) as caught:
        load_settings()
    assert caught.value.exit_code == 2
    assert caught.value.next_step
