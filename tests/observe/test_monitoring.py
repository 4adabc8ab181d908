"""The dashboard and the alert rules speak of numbers that the gateway shows, and Prometheus understands them."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from gateway.observe.board import Board
from gateway.observe.exposition import write
from gateway.observe.families import PLACES
from gateway.observe.figures import Figures
from gateway.observe.tally import Tally
from gateway.store.nodes import NodeState

CONFIG = Path(__file__).parent.parent.parent / "config"
ALERTS = CONFIG / "prometheus-alerts.yml"
DASHBOARD = CONFIG / "grafana-dashboard.json"
METRIC = re.compile(r"otium_gateway_[a-z_]+")
MATCHER = re.compile(r"(otium_gateway_[a-z_]+)\{([^}]*)\}")
LABEL = re.compile(r'(\w+)=(~?)"([^"]*)"')

NODE = NodeState("host", 1, "1.0", behind=0, renewed=0, is_lapsed=False)


@pytest.fixture(scope="module")
def shown() -> dict[str, list[dict[str, str]]]:
    """Every series that there is, by its name: what /metrics shows once everything has happened once."""
    board = Board()
    tally = Tally(board).resume(board.lease())
    for place in PLACES.values():
        tally.numbers[place] = 1
    tally.write(1.0)
    found: dict[str, list[dict[str, str]]] = {}
    for family in text_string_to_metric_families(write(board.totals(), Figures(1, 1, 1, 1, 1, [NODE])).decode()):
        for sample in family.samples:
            found.setdefault(sample.name, []).append(sample.labels)
    return found


def queries() -> Iterator[str]:
    yield from re.findall(r"expr: (.*(?:\n {10}.*)*)", ALERTS.read_text())
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        for target in panel["targets"]:
            yield target["expr"]


def test_each_number_that_is_asked_for_is_shown(shown: dict[str, list[dict[str, str]]]) -> None:
    asked = list(queries())
    assert len(asked) > 25
    for query in asked:
        for name in METRIC.findall(query):
            assert name in shown, (name, query)
        for name, matchers in MATCHER.findall(query):
            for label, is_pattern, value in LABEL.findall(matchers):
                if label == "instance":
                    continue
                values = {labels.get(label, "") for labels in shown[name]}
                wanted = value.split("|") if is_pattern else [value]
                assert set(wanted) <= values, (query, label)


def test_each_kind_of_number_is_on_the_dashboard(shown: dict[str, list[dict[str, str]]]) -> None:
    text = DASHBOARD.read_text()
    families = {re.sub(r"_(bucket|count|sum|created)$", "", name) for name in shown} - {"otium_gateway_build_info"}
    assert [name for name in sorted(families) if name not in text] == []


def test_the_panels_do_not_lie_on_each_other() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in json.loads(DASHBOARD.read_text())["panels"]:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24
        cells = {(x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])}
        assert not taken & cells, panel["title"]
        taken |= cells


def promtool(*arguments: str, folder: Path) -> None:
    program = shutil.which("promtool")
    assert program, "promtool is missing: run `make test`, or apt-get install prometheus"
    result = subprocess.run([program, *arguments], cwd=folder, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


def test_prometheus_reads_the_rules() -> None:
    promtool("check", "rules", str(ALERTS), folder=CONFIG)


RULE_TESTS = """
rule_files: [alerts.yml]
evaluation_interval: 1m
tests:
  - interval: 1m
    input_series:
      - { series: 'up{job="otium-gateway", instance="a"}', values: "1x5 0x20" }
      - { series: 'otium_gateway_store_up{instance="a"}', values: "1x5 0x20" }
      - { series: 'otium_gateway_requests_total{instance="a", outcome="forwarded"}', values: "0+600x30" }
      - { series: 'otium_gateway_requests_total{instance="a", outcome="upstream_failed"}', values: "0+60x30" }
      - { series: 'otium_gateway_requests_total{instance="a", outcome="unavailable"}', values: "0+60x30" }
      - { series: 'otium_gateway_worker_restarts_total{instance="a", reason="died"}', values: "0x14 2 4 6 8x20" }
      - { series: 'otium_gateway_outbox_oldest_seconds{instance="a"}', values: "0+60x40" }
      - { series: 'otium_gateway_outbox{instance="a", state="abandoned"}', values: "0x10 1x20" }
      - { series: 'otium_gateway_sign_ins_total{instance="a", factor="password", outcome="wrong"}', values: "0+60x40" }
      - { series: 'otium_gateway_gate_seconds_bucket{instance="a", le="0.1"}', values: "0+10x40" }
      - { series: 'otium_gateway_gate_seconds_bucket{instance="a", le="0.25"}', values: "0+100x40" }
      - { series: 'otium_gateway_gate_seconds_bucket{instance="a", le="+Inf"}', values: "0+100x40" }
    alert_rule_test:
%s
  - interval: 1m
    input_series:
      - { series: 'up{job="otium-gateway", instance="a"}', values: "1x40" }
      - { series: 'otium_gateway_store_up{instance="a"}', values: "1x40" }
      - { series: 'otium_gateway_requests_total{instance="a", outcome="forwarded"}', values: "0+600x40" }
      - { series: 'otium_gateway_requests_total{instance="a", outcome="upstream_failed"}', values: "0+1x40" }
      - { series: 'otium_gateway_sign_ins_total{instance="a", factor="password", outcome="wrong"}', values: "0+3x40" }
      - { series: 'otium_gateway_worker_restarts_total{instance="a", reason="died"}', values: "0x20 1x20" }
      - { series: 'otium_gateway_outbox{instance="a", state="abandoned"}', values: "3x40" }
    alert_rule_test:
%s
"""


def test_the_rules_ring_when_something_is_wrong_and_are_quiet_otherwise(tmp_path: Path) -> None:
    """Prometheus itself is asked: half an hour in which everything fails, and one in which people sign in as ever."""
    text = ALERTS.read_text()
    (tmp_path / "alerts.yml").write_text(text)
    names = re.findall(r"alert: (\w+)", text)
    loud = {
        "OtiumGatewayDown", "OtiumGatewayStoreDown", "OtiumGatewayUnavailable", "OtiumGatewayUpstreamFailing",
        "OtiumGatewayWorkersRestart", "OtiumGatewayMailWaits", "OtiumGatewayMailAbandoned", "OtiumGatewayGuessing",
        "OtiumGatewaySlow",
    }  # fmt: skip
    assert loud <= set(names)
    program = shutil.which("promtool")
    assert program, "promtool is missing: run `make test`, or apt-get install prometheus"

    def cases(expected: str) -> str:
        return "\n".join(f"      - {{ eval_time: 22m, alertname: {name}, exp_alerts: [{expected}] }}" for name in names)

    # promtool knows equality only: it is told that all are quiet, and complains of exactly those that ring.
    (tmp_path / "test.yml").write_text(RULE_TESTS % (cases(""), cases("")))
    result = subprocess.run(
        [program, "test", "rules", "test.yml"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert set(re.findall(r"alertname: ?(\w+)", result.stdout + result.stderr)) == loud, result.stdout + result.stderr


def test_every_alert_is_in_the_handbook() -> None:
    handbook = (CONFIG.parent / "docs/operations.md").read_text()
    for name in re.findall(r"alert: (\w+)", ALERTS.read_text()):
        assert f"`{name}`" in handbook, name
