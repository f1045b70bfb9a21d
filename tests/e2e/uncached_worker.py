"""The worker with no workflow kept between tasks: `python -m tests.e2e.uncached_worker`. Every task replays its workflow from
the beginning, so that whatever a replay says twice is said many times."""

from __future__ import annotations

import sys
from typing import Any

from temporalio.worker import Worker


class Uncached(Worker):
    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options, max_cached_workflows=0)


def main() -> int:
    import worker

    worker.Worker = Uncached  # type: ignore[misc]
    return worker.main(sys.argv[1:])


if __name__ == "__main__":
    sys.exit(main())
