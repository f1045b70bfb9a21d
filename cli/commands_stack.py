"""Commands about the embedded servers: up, down, doctor."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.options import JSON


def up(as_json: Annotated[bool, JSON] = False) -> None:
    """Start Temporal, DefraDB and a worker, unless they run; `process` does so by itself."""
    from dataclasses import asdict

    from cli import output
    from cli.stack.progress import StderrProgress
    from cli.stack.stack import Stack
    from providers.settings import load_settings

    endpoints = Stack(load_settings()).ensure(StderrProgress())
    if as_json:
        output.data({name: value and str(value) for name, value in asdict(endpoints).items()})
        return
    print(f"Temporal    {endpoints.temporal_address}")
    if endpoints.temporal_ui_url:
        print(f"Temporal UI {endpoints.temporal_ui_url}")
    print(f"DefraDB     {endpoints.defradb_url}")
    print(f"Artifacts   {endpoints.artifacts}")


def down() -> None:
    """Stop the servers that Shelf started here; what they hold stays, and jobs go on at the next start."""
    from cli import output
    from cli.stack.progress import StderrProgress
    from cli.stack.stack import Stack
    from providers.settings import load_settings

    stopped = Stack(load_settings()).down(StderrProgress())
    output.note(f"Stopped {', '.join(stopped)}." if stopped else "Nothing of Shelf's runs here.")


def doctor(as_json: Annotated[bool, JSON] = False) -> None:
    """Check each part, and say what to do about what is wrong; starts nothing. Exits with 1 if something is wrong."""
    from dataclasses import asdict

    from cli import doctor as checks
    from cli import output
    from providers.settings import load_settings

    findings = checks.examine(load_settings())
    if as_json:
        output.data(
            {"ok": all(finding.state != "problem" for finding in findings), "checks": list(map(asdict, findings))}
        )
    else:
        width = max(len(finding.part) for finding in findings)
        for finding in findings:
            print(f"{finding.state:<8} {finding.part:<{width}}  {finding.message}")
            if finding.next_step:
                print(f"{'':<8} {'':<{width}}  -> {finding.next_step}")
    if any(finding.state == "problem" for finding in findings):
        raise typer.Exit(1)
