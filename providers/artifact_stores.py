"""Opens the artifact store that is set: a folder, or an object store."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from providers.artifacts import ArtifactStore
    from providers.s3_artifacts import S3ArtifactStore
    from providers.settings import Settings


def open_store(settings: Settings) -> ArtifactStore:
    """The artifact store of these settings. Raises BadInput, DiskFull (the folder cannot be made)."""
    if settings.artifacts_url is not None:
        return _bucket(settings, settings.artifacts_url)
    from providers.local_artifacts import LocalArtifactStore

    return LocalArtifactStore(settings.artifacts_dir)


def check(settings: Settings) -> None:
    """Try whether an object store does what is needed of it; a folder is not looked at.

    Raises BadInput, DiskFull, StoreUnavailable."""
    if settings.artifacts_url is not None:
        _bucket(settings, settings.artifacts_url).check()


def place_of(settings: Settings) -> str:
    """Where artifacts lie, for people; opens nothing."""
    if settings.artifacts_url is None:
        return str(settings.artifacts_dir)
    return settings.artifacts_url + (f" at {settings.artifacts_endpoint}" if settings.artifacts_endpoint else "")


def _bucket(settings: Settings, url: str) -> S3ArtifactStore:
    from providers.s3_artifacts import S3ArtifactStore

    return S3ArtifactStore(
        url,
        settings.artifacts_dir / "copies",
        endpoint=settings.artifacts_endpoint,
        region=settings.artifacts_region,
        credentials=settings.artifacts_credentials,
        copies_bytes=settings.artifacts_copies_bytes,
    )


def may_hold(settings: Settings) -> bool:
    """Whether there can be artifacts: not in a folder that was never made, which looking for them would make."""
    return settings.artifacts_url is not None or settings.artifacts_dir.exists()
