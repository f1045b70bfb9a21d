"""Every metric that a dashboard asks for is one that is exported, under the name that Prometheus gives it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import yaml

from schemas.telemetry import INSTRUMENTS

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "deploy" / "grafana"
UNITS = {"s": "_seconds", "%": "_percent", "By": "_bytes", "ms": "_milliseconds"}
"""As Prometheus' OTLP receiver appends them (otel-lgtm keeps its default, UnderscoreEscapingWithSuffixes); units in braces
are words and are dropped."""
TEMPORAL = {
    "temporal_activity_schedule_to_start_latency": ("histogram", "s"),
    "temporal_activity_execution_latency": ("histogram", "s"),
    "temporal_activity_execution_failed": ("counter", ""),
    "temporal_workflow_task_schedule_to_start_latency": ("histogram", "s"),
    "temporal_workflow_completed": ("counter", ""),
    "temporal_workflow_failed": ("counter", ""),
    "temporal_worker_task_slots_available": ("gauge", ""),
    "temporal_request_failure": ("counter", ""),
}
"""Of its documented SDK metrics (docs.temporal.io/references/sdk-metrics) those that we show, with durations in seconds."""
WORDS = {"sum", "by", "le", "rate", "increase", "histogram_quantile"}


def prometheus_names(name: str, kind: str, unit: str) -> set[str]:
    base = re.sub(r"[^a-zA-Z0-9_]", "_", name) + UNITS.get(unit, "")
    if kind == "counter":
        return {f"{base}_total"}
    if kind == "histogram":
        return {f"{base}{end}" for end in ("_bucket", "_count", "_sum")}
    return {base}


def test_names() -> None:
    assert prometheus_names("shelf.cost.usd", "counter", "{USD}") == {"shelf_cost_usd_total"}
    assert "http_client_request_duration_seconds_bucket" in prometheus_names(
        "http.client.request.duration", "histogram", "s"
    )


def test_dashboards_ask_for_what_is_exported() -> None:
    known: dict[str, set[str]] = {}
    for each in INSTRUMENTS:
        labels = {re.sub(r"\W", "_", name) for name in each.attributes}
        known |= dict.fromkeys(prometheus_names(each.name, each.kind, each.unit), labels)
    temporal = {name for metric, (kind, unit) in TEMPORAL.items() for name in prometheus_names(metric, kind, unit)}
    files = sorted((FOLDER / "dashboards").glob("*.json"))
    assert {file.stem for file in files} == {"throughput", "providers", "cost", "temporal", "defradb"}
    shown: set[str] = set()
    for file in files:
        dashboard = json.loads(file.read_text())
        assert dashboard["uid"] == f"shelf-{file.stem}"
        for panel in dashboard["panels"]:
            for target in panel["targets"]:
                text = target["expr"]
                asked = {
                    name for name in re.findall(r"\b([a-z_]+)(?=[\[{)])", text) if "_" in name and name not in WORDS
                }
                labels = {
                    label.strip() for group in re.findall(r"by \(([^)]*)\)", text) for label in group.split(",")
                } - {"le"}
                names = asked - labels
                assert names, text
                assert names <= set(known) | temporal, f"{file.name}: {text}"
                shown |= names
                for name in names & set(known):
                    assert labels <= known[name], f"{file.name}: {text}"
    # Nothing is exported that nobody can look at.
    for each in INSTRUMENTS:
        assert prometheus_names(each.name, each.kind, each.unit) & shown, each.name


def test_grafana_finds_the_folder() -> None:
    [provider] = yaml.safe_load((FOLDER / "shelf.yaml").read_text())["providers"]
    mounts = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]["lgtm"]["volumes"]
    assert f"./deploy/grafana/dashboards:{provider['options']['path']}:ro" in mounts


def test_the_documented_metrics_are_those_of_the_program() -> None:
    text = (ROOT / "docs" / "telemetry.md").read_text()
    table = text.partition("<!-- metrics -->")[2].partition("<!-- end -->")[0]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.strip().splitlines()[2:]]
    assert rows == [
        [f"`{i.name}`", i.kind, i.unit, ", ".join(f"`{name}`" for name in i.attributes), i.description]
        for i in INSTRUMENTS
    ]
