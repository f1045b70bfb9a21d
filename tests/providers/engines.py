"""Engines that misbehave on demand, for the pool's tests: each runs in a child process."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from typing import Any

from providers.errors import RateLimited, Rejected
from schemas.errors import LanguageMissing


def obedient(greeting: str = "hello", refuse: bool = False) -> Callable[[Any], Any]:
    """An engine that does what its task says."""
    if refuse:
        raise LanguageMissing("no such language", "install it")

    def engine(task: Any) -> Any:
        match task:
            case ("echo", value):
                return value
            case ("sleep", seconds, value):
                time.sleep(seconds)
                return value
            case "pid":
                return os.getpid()
            case "threads":
                return os.environ["OMP_THREAD_LIMIT"], os.environ["OMP_NUM_THREADS"]
            case "modules":
                return sorted(sys.modules)
            case "greeting":
                return greeting
            case "print":
                print("noise from a library", flush=True)
                os.write(1, b"more noise\n")
                return "quiet"
            case "segfault":
                os.kill(os.getpid(), signal.SIGSEGV)
            case "last words":
                os.write(2, b"the model is upside down\n")
                os._exit(3)
            case "rejected":
                raise Rejected("too large")
            case "limited":
                raise RateLimited("slow", 1.5)
            case "language":
                raise LanguageMissing("no xyz", "install xyz")
            case "bug":
                raise KeyError("x")
            case "memory":
                raise MemoryError
        raise ValueError(task)

    return engine
