"""Health check of a worker's container: does this machine poll any of the worker's queues?

    python worker_health.py [--queues shelf,store,tesseract,...]

Temporal forgets who polled a queue after five minutes, so a worker that hangs is unhealthy that much later. One queue is
enough: a queue whose slots are all at work is not polled, and a whole book's structure takes longer than five minutes.

Asks through Temporal's own program, which reads TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE, ... by the same rules as the worker
and takes a tenth of what importing the client would.
"""

from __future__ import annotations

import argparse
import json
import socket
import subprocess
import sys

WORKFLOW_QUEUE = "shelf"
SECONDS = 5.0
"""For one queue; it takes a tenth of a second."""


def task_queues(given: str) -> list[str]:
    """Names of task queues for what `worker.py --queues` was given; "all" serves the workflows' queue among others."""
    names = [WORKFLOW_QUEUE] if given == "all" else given.split(",")
    return [name if name == WORKFLOW_QUEUE or name.startswith("shelf-") else f"shelf-{name}" for name in names]


def polls(task_queue: str, host: str) -> bool:
    """Whether a process of `host` asked for work of this queue in the last five minutes.

    Raises CalledProcessError, TimeoutExpired: Temporal does not answer.
    """
    kind = "workflow" if task_queue == WORKFLOW_QUEUE else "activity"
    command = ["temporal", "task-queue", "describe", "--task-queue", task_queue, "--task-queue-type", kind]
    said = subprocess.run(
        [*command, "--output", "json"], check=True, capture_output=True, text=True, timeout=SECONDS
    ).stdout
    # The SDK's identity is pid@host, and a container has a host name of its own.
    return any(poller["identity"].endswith(f"@{host}") for poller in json.loads(said)["pollers"] or [])


def main() -> str | None:
    """What is wrong; None if nothing is."""
    parser = argparse.ArgumentParser(description="Health check of a worker's container.")
    parser.add_argument("--queues", default="all", help="what the worker was given")
    queues = task_queues(parser.parse_args().queues)
    host = socket.gethostname()
    try:
        if any(polls(queue, host) for queue in queues):
            return None
    except subprocess.CalledProcessError as error:
        return f"Temporal does not answer: {error.stderr.strip()[-300:]}"
    except subprocess.TimeoutExpired:
        return f"Temporal does not answer within {SECONDS:.0f} s."
    return f"No process of {host} polls {', '.join(queues)}."


if __name__ == "__main__":
    sys.exit(main())
