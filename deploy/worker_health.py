"""Health check of a worker's container: does this machine poll any of the worker's queues?

    python worker_health.py [--queues shelf,shelf-store,tesseract,...]

Temporal forgets who polled a queue after five minutes, so a worker that hangs is unhealthy that much later. One queue is
enough: a queue whose slots are all at work is not polled, and a whole book's structure takes longer than five minutes.
"""

from __future__ import annotations

import argparse
import asyncio
import socket
import sys

from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client
from temporalio.service import RPCError

from providers.queues import STORE_QUEUE, WORKFLOW_QUEUE, provider_queues
from providers.settings import load_settings
from schemas.errors import ShelfError

SECONDS = 15.0


def queue_names(given: str) -> list[str]:
    """Names of task queues for what `worker.py --queues` was given."""
    if "all" in given.split(","):
        return [WORKFLOW_QUEUE, STORE_QUEUE, *(row.queue for row in provider_queues().values())]
    return [name if name.startswith(WORKFLOW_QUEUE) else f"shelf-{name}" for name in given.split(",")]


async def polled_queue(queues: list[str]) -> str | None:
    """The first of these that a process of this machine polls; None if it polls none."""
    settings = load_settings()
    client = await Client.connect(**settings.temporal_connect())
    here = f"@{socket.gethostname()}"  # the SDK's identity is pid@host, and a container has a host name of its own
    for queue in queues:
        kind = TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY
        if queue == WORKFLOW_QUEUE:
            kind = TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW
        described = await client.workflow_service.describe_task_queue(
            DescribeTaskQueueRequest(
                namespace=settings.temporal_namespace, task_queue=TaskQueue(name=queue), task_queue_type=kind
            )
        )
        if any(poller.identity.endswith(here) for poller in described.pollers):
            return queue
    return None


def main() -> str | None:
    """What is wrong; None if nothing is."""
    parser = argparse.ArgumentParser(description="Health check of a worker's container.")
    parser.add_argument("--queues", default="all", help="what the worker was given")
    queues = queue_names(parser.parse_args().queues)
    try:
        found = asyncio.run(asyncio.wait_for(polled_queue(queues), SECONDS))
    except (RPCError, RuntimeError, OSError, ShelfError) as error:  # TimeoutError is an OSError
        return f"Temporal could not be asked: {error!r}"
    return None if found else f"No process of {socket.gethostname()} polls {', '.join(queues)}."


if __name__ == "__main__":
    sys.exit(main())
