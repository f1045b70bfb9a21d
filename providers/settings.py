"""What the user may set: flag > environment > `.env` > `shelf.toml` > default.

Environment names carry the prefix `SHELF_`, nested ones two underscores (`SHELF_PROVIDERS__TESSERACT__REQUESTS_PER_SECOND`);
`.env` and `shelf.toml` are those of the current folder. Temporal's own names (`TEMPORAL_ADDRESS`, `TEMPORAL_NAMESPACE`,
`TEMPORAL_PROFILE`, `TEMPORAL_API_KEY`, ...) are honoured as Temporal's tools do. Keys of paid services are no settings:
the worker reads them from its environment where they are used.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from schemas.errors import BadInput

FILE = "shelf.toml"
ENV_FILE = ".env"
SAMPLES = Path(__file__).parents[1] / "samples"


def _home() -> Path:
    return Path.cwd() / ".shelf"


def _source_roots() -> tuple[Path, ...]:
    return (Path.cwd(), SAMPLES)


def _processors() -> int:
    """Cores this process may use: fewer than the machine's in a container or under taskset."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class BudgetSettings(BaseModel):
    """`[budget]`: what jobs may spend."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    per_job_usd: float | None = Field(None, gt=0, allow_inf_nan=False)
    """A job pauses before it has spent more; its own `budget_usd` wins. None = no cap."""

    per_day_usd: float | None = Field(None, gt=0, allow_inf_nan=False)
    """All jobs together, a day of UTC."""

    unknown_price: Literal["refuse", "allow"] = "refuse"
    """Whether a paid provider is called whose price nobody knows."""


class OperationSettings(BaseModel):
    """`[operations.blend]`: how an operation is done where nothing else was chosen for a book."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    llm: str = ""
    """Language model, as "provider/MODEL"; '' = by rules."""


class Settings(BaseSettings):
    """All settings, checked; made once per process with `load_settings()`."""

    model_config = SettingsConfigDict(
        env_prefix="SHELF_",
        env_nested_delimiter="__",
        env_file=ENV_FILE,
        toml_file=FILE,
        # `.env` also holds what is not ours, such as keys; unknown names of shelf.toml are refused in load_settings().
        extra="ignore",
        frozen=True,
    )

    home: Path = Field(default_factory=_home)
    """State of the embedded stack: databases, artifacts, logs."""

    artifacts_dir: Path = Field(default_factory=lambda given: given["home"] / "artifacts")
    """Folder of the artifact store; by default `artifacts` in `home`. With `artifacts_url`, of its local copies."""

    artifacts_url: str | None = None
    """Address of an object store for the artifacts, in place of a folder: "s3://bucket/prefix". Its keys come from the
    environment (`AWS_ACCESS_KEY_ID`, ...) or `artifacts_credentials`."""

    artifacts_endpoint: str | None = None
    """Server of that store, as "https://host:port", where it is not Amazon's."""

    artifacts_credentials: Path | None = None
    """File with the keys of that store, as `~/.aws/credentials` has them; without it the `AWS_*` variables say where they are."""

    artifacts_region: str | None = None
    """Region of the bucket; by default that of the `AWS_*` variables, or us-east-1."""

    artifacts_copies_bytes: int = Field(20_000_000_000, ge=0)
    """Room for local copies of source files; what was asked for within the last hour stays, whatever it takes."""

    defradb_url: str = "http://127.0.0.1:9181"
    """Where DefraDB listens. Once set, it is an external server: used, never started or stopped."""

    temporal_address: str = Field(
        "127.0.0.1:7233", validation_alias=AliasChoices("TEMPORAL_ADDRESS", "temporal_address")
    )
    """host:port of Temporal's gRPC. Once set, an external server."""

    temporal_namespace: str = Field(
        "default", validation_alias=AliasChoices("TEMPORAL_NAMESPACE", "temporal_namespace")
    )
    """Temporal's unit of isolation; the embedded server has "default" alone."""

    temporal_ui_url: str | None = None
    """Address of Temporal's web UI, for links; known for the embedded server."""

    worker: Literal["embedded", "external"] = "embedded"
    """External: somebody else runs `worker.py`."""

    source_roots: tuple[Path, ...] = Field(default_factory=_source_roots)
    """Folders from which a job started through Temporal may read: by default the worker's current one and the samples."""

    language: str = "eng"
    """Tesseract's names of the languages of a book, joined with "+"; a job's own wins."""

    second_opinion_share: float = Field(0.04, ge=0, le=1)
    """At most this share of the pages is read by a second engine. RapidOCR takes 2.4 (contents) to 5 times (letters)
    as long as Tesseract: with this share a book takes 1.3 times as long at most."""

    second_opinion_above: float = Field(0.02, ge=0, le=1)
    """Only pages whose expected character error rate lies over it (0..1)."""

    user: str | None = None
    """Who corrects, where a command does not say it; by default who is logged in."""

    tesseract_processes: int = Field(default_factory=_processors, ge=1)
    """Pages that Tesseract reads at once in one worker: by default one a core."""

    rapidocr_processes: int = Field(1, ge=1)
    """RapidOCR takes all cores for one page and 700 MB a process."""

    script: Path | None = None
    """File that says what the provider `scripted` does (`providers/scripted.py` describes it): for tests."""

    providers: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """Changes to rows of the queue table, or rows of one's own: `[providers.tesseract] requests_per_second = 5`. Checked
    there."""

    operations: dict[str, OperationSettings] = Field(default_factory=dict)
    """How operations are done: `[operations.blend] llm = "openrouter/MODEL"`."""

    budget: BudgetSettings = BudgetSettings.model_validate({})
    """What jobs may spend."""

    @field_validator("home", "artifacts_dir", mode="after")
    @classmethod
    def _absolute(cls, path: Path) -> Path:
        return Path.cwd() / path.expanduser()

    @field_validator("artifacts_url", "artifacts_endpoint", mode="after")
    @classmethod
    def _an_address(cls, url: str | None, info: ValidationInfo) -> str | None:
        # `S3ArtifactStore` looks closer; what is shown everywhere must hold no key.
        schemes = ("s3",) if info.field_name == "artifacts_url" else ("http", "https")
        parts = urlsplit(url or f"{schemes[0]}://host")
        if parts.scheme not in schemes or not parts.hostname or "@" in parts.netloc or parts.query or parts.fragment:
            raise ValueError(f"It is an address with {' or '.join(schemes)}://, a name, and no keys")
        return url or None

    @field_validator("source_roots", mode="after")
    @classmethod
    def _absolute_all(cls, paths: tuple[Path, ...]) -> tuple[Path, ...]:
        return tuple(Path.cwd() / path.expanduser() for path in paths)

    @property
    def defradb_is_external(self) -> bool:
        """Whether the user named a DefraDB."""
        return "defradb_url" in self.model_fields_set

    @property
    def temporal_is_external(self) -> bool:
        """Whether the user named a Temporal server."""
        return "temporal_address" in self.model_fields_set

    def temporal_connect(self, address: str | None = None) -> dict[str, Any]:
        """Arguments of `temporalio.client.Client.connect`: host, namespace, API key, TLS, by Temporal's own rules.

        `address` replaces the configured one (the embedded server's port is known only once it runs).
        """
        config: dict[str, Any] = {}
        if self.temporal_is_external and any(name.startswith("TEMPORAL_") for name in os.environ):
            from temporalio.envconfig import ClientConfig  # 0.2 s, and of use only where something is set

            config = dict(ClientConfig.load_client_connect_config(disable_file=not _names_a_profile()))
        return config | {"target_host": address or self.temporal_address, "namespace": self.temporal_namespace}

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Flags, environment, `.env`, `shelf.toml`, in this order."""
        return init_settings, env_settings, dotenv_settings, TomlConfigSettingsSource(settings_cls)


def load_settings(**flags: Any) -> Settings:
    """The settings of this process; `flags` are those the user typed, None meaning not typed.

    Raises:
        BadInput: a value or a name in `shelf.toml` is wrong; the message names it.
    """
    given = {name: value for name, value in flags.items() if value is not None}
    try:
        _refuse_unknown_names()
        if _names_a_profile():
            given = _of_profile() | given
        settings = Settings(**given)
        _take_keys(settings)
        return settings
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise BadInput(
            f"The setting {where} is wrong: {first['msg'][:1].lower()}{first['msg'][1:]}.",
            f"It comes from a flag, the environment, .env or {FILE}.",
        ) from error
    except ValueError as error:  # TOML that does not parse
        raise BadInput(f"{FILE} or the environment cannot be read: {error}.", "Correct it and try again.") from error


def _take_keys(settings: Settings) -> None:
    """Keys of services that stand in `.env`, as if they had been set: into the environment, the one place where they are looked
    for, and no setting. What is set there already wins."""
    if not Path(ENV_FILE).is_file():
        return
    from dotenv import dotenv_values

    from providers.queues import key_variables

    named = key_variables(settings.providers)
    for name, value in dotenv_values(ENV_FILE).items():
        if name in named and value and not os.environ.get(name):
            os.environ[name] = value


def _refuse_unknown_names() -> None:
    """A misspelt name in shelf.toml would otherwise be a setting that never works."""
    file = Path(FILE)
    if not file.exists():
        return
    import tomllib

    unknown = sorted(set(tomllib.loads(file.read_text())) - set(Settings.model_fields))
    if unknown:
        raise BadInput(
            f"{FILE} has settings that do not exist: {', '.join(unknown)}.",
            f"Known are {', '.join(sorted(Settings.model_fields))}.",
        )


def _names_a_profile() -> bool:
    """A profile of Temporal's tools counts only if asked for: the one of a far server must not catch a newcomer's books."""
    return "TEMPORAL_PROFILE" in os.environ or "TEMPORAL_CONFIG_FILE" in os.environ


def _of_profile() -> dict[str, Any]:
    from temporalio.envconfig import ClientConfigProfile

    profile = ClientConfigProfile.load()
    return {
        name: value
        for name, value in (("temporal_address", profile.address), ("temporal_namespace", profile.namespace))
        if value
    }
