"""The server's benchmark: a tiny run, and what its verdict depends on."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from halfbyte.measure import server_bench
from halfbyte.measure.server_bench import ServerCommand, Trial, best, quantile, search
from halfbyte.measure.server_load import Load

SPEECH = sorted((Path(__file__).parents[1] / "data").glob("*.wav"))
TRIAL = Trial(1, True, False, {}, [], 0.0, 0.0, 0, {})


def test_a_tiny_run_gives_every_figure():
    result = subprocess.run(
        [
            *(sys.executable, "-m", "halfbyte", "bench", "server", "--json"),
            *("--streams", "3", "--duration-s", "9", "--workers", "1"),
            *("--audio", *map(str, SPEECH)),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    (trial,) = json.loads(result.stdout)["trials"]
    assert trial["num_streams"] == 3
    assert trial["errors"] == {}
    p50_ms, p95_ms = trial["latency_ms"]["partial_server"]
    assert 0 < p50_ms <= p95_ms
    assert trial["latency_ms"]["partial_beyond_chunk"][0] > p50_ms
    assert trial["server_cores"] > 0
    assert trial["generator_cores"] > 0
    assert sum(trial["stages_us"].values()) > 0


@pytest.mark.parametrize("capacity", [0, 1, 7, 100, 333, 1234])
def test_the_search_finds_what_a_server_holds(monkeypatch, capacity):
    def run_trial(_: ServerCommand, load: Load) -> Trial:
        held = load.num_streams <= capacity
        return replace(TRIAL, num_streams=load.num_streams, is_held=held)

    monkeypatch.setattr(server_bench, "run_trial", run_trial)
    found = best(search(ServerCommand(), Load("", "", 1), first=100))
    assert (found.num_streams if found else 0) == pytest.approx(capacity, rel=0.06, abs=1)


def test_quantiles():
    assert quantile([3, 1, 2], 0.5) == 2
    assert quantile(range(100), 0.95) == 95
    assert quantile([], 0.5) == float("inf")
