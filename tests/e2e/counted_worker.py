"""The worker with engines that note each page they begin and end: `python -m tests.e2e.counted_worker`.

Metrics cannot tell what a killed process had begun, because it never said. The engines note it from inside their own
process, one line a page, in the file that SHELF_TEST_CALLS names.
"""

from __future__ import annotations

import os
import sys
from typing import Any

CALLS = "SHELF_TEST_CALLS"


def note(engine: str, index: int, event: str) -> None:
    """One write in append mode: lines of several processes never mix."""
    descriptor = os.open(os.environ[CALLS], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        os.write(descriptor, f"{engine} {index + 1} {os.getpid()} {event}\n".encode())
    finally:
        os.close(descriptor)


class Counted:
    """An engine that takes tasks (path, kind, index, ...) and says so."""

    name: str

    def __init__(self) -> None:
        self.engine: Any = None

    def __call__(self, task: tuple[Any, ...]) -> Any:
        note(self.name, task[2], "begin")
        answer = self.engine(task)
        note(self.name, task[2], "end")
        return answer


class Tesseract(Counted):
    name = "tesseract"

    def __init__(self) -> None:
        from providers.tesseract import Engine

        self.engine = Engine()


class RapidOcr(Counted):
    name = "rapidocr"

    def __init__(self) -> None:
        from providers.rapidocr import Engine

        self.engine = Engine()


def main() -> int:
    import worker
    from providers import rapidocr, tesseract
    from providers.pool import EnginePool

    counted = {
        "providers.tesseract:Engine": "tests.e2e.counted_worker:Tesseract",
        "providers.rapidocr:Engine": "tests.e2e.counted_worker:RapidOcr",
    }

    class CountedPool(EnginePool):
        def __init__(self, processes: int, factory: str, *arguments: Any, **options: Any) -> None:
            super().__init__(processes, counted[factory], *arguments, **options)

    for module in (tesseract, rapidocr):
        module.EnginePool = CountedPool  # type: ignore[misc]
    return worker.main(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
