"""The quantisation benchmark: its configuration, its resuming, its figures, and one real cell."""

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml
from filelock import FileLock
from train.corpus import write_config, write_corpus

from halfbyte.errors import ConfigError, UsageError
from halfbyte.measure.evaluate import Evaluation
from halfbyte.measure.quantization import cell as cells
from halfbyte.measure.quantization import report
from halfbyte.measure.quantization.config import Cell, read_bench
from halfbyte.measure.quantization.grid import GridError, run_grid
from halfbyte.measure.quantization.results import Results, keep, read_results
from halfbyte.measure.quantization.timing import time_formats

BENCH = {
    "name": "tones",
    "recipe": "config.yaml",
    "methods": {
        "scratch": {"overrides": ["loop.epochs=1"]},
        "tuned": {"start": "scratch/float32", "teacher": "scratch/float32"},
        "post_training": {"kind": "post_training", "start": "scratch/float32"},
    },
    "calibration": ["train.jsonl"],
    "maps": {"mixed": {"default": "w4a8", "layers": {"ctc": "w8a8"}}},
    "cells": [{"method": "tuned", "formats": ["w4a8", "mixed"], "seeds": [1, 2]}],
    "comparisons": [{"of": "tuned/w4a8", "against": "scratch/float32", "margin": 0.02}],
    "evaluation": {"test": ["train.jsonl"], "chunk_ms": 320},
}


def write_bench(folder: Path, **changes) -> Path:
    path = folder / "bench.yaml"
    path.write_text(yaml.safe_dump(BENCH | changes))
    return path


@pytest.fixture
def folder(tmp_path):
    write_config(tmp_path, write_corpus(tmp_path / "corpus", num_utterances=3))
    return tmp_path


# A cell that takes no time: its line depends on its name alone.
FAKE = """
import json, sys
method, number_format, seed = sys.argv[1].split("/")
if number_format == "mixed":
    sys.exit("halfbyte bench: broken")
errors = 3 if number_format == "float32" else 4
counts = [[errors, 10], [int(seed), 10]]
print("progress")
print(json.dumps({
    "method": method, "number_format": number_format, "seed": int(seed), "bytes": 1000,
    "wer": sum(e for e, _ in counts) / 20, "by_split": {"train.jsonl": {"wer": 0.2}},
    "speakers": {"train.jsonl": counts}, "texts_differing": 0, "texts_compared": 3,
    "bits_per_weight": 4.1,
}))
"""
FAKE_COMMAND = [sys.executable, "-c", FAKE]


def only_w4a8(**changes):
    return {"cells": [{"method": "tuned", "formats": ["w4a8"], "seeds": [1, 2]}], **changes}


def test_cells_come_after_what_they_need(folder):
    names = [cell.name for cell in read_bench(write_bench(folder)).cells()]
    assert names == [
        "scratch/float32/1", "tuned/w4a8/1", "scratch/float32/2", "tuned/w4a8/2",
        "tuned/mixed/1", "tuned/mixed/2",
    ]  # fmt: skip


def test_a_teacher_comes_before_its_pupil(folder):
    methods = BENCH["methods"] | {
        "more": {"start": "scratch/float32"},
        "taught": {"start": "scratch/float32", "teacher": "more/float32"},
    }
    groups = [{"method": "taught", "formats": ["w4a8"], "seeds": [1]}]
    bench = read_bench(write_bench(folder, methods=methods, cells=groups))
    names = [cell.name for cell in bench.cells()]
    assert names == ["scratch/float32/1", "more/float32/1", "taught/w4a8/1"]
    # Both have come through the weights of one other, so both hear the same.
    assert [bench.num_legs_before(cell) for cell in bench.cells()] == [0, 1, 1]


def test_a_failed_cell_is_named_and_the_rest_resumes(folder):
    bench = read_bench(write_bench(folder))
    with pytest.raises(GridError, match=r"cell tuned/mixed/1 failed: halfbyte bench: broken; see"):
        list(run_grid(bench, folder / "work", FAKE_COMMAND))
    done = read_results(bench).cells
    assert [cell.name for cell in done] == [c.name for c in bench.cells()[:4]]
    bench = read_bench(write_bench(folder, **only_w4a8()))
    assert list(run_grid(bench, folder / "work", FAKE_COMMAND)) == []


def test_cells_at_once_wait_for_what_they_need(folder):
    bench = read_bench(write_bench(folder, **only_w4a8()))
    clocked = f"""
import time
from pathlib import Path
began = time.monotonic()
time.sleep(0.5)
{FAKE}
name = sys.argv[1].replace("/", "-")
Path({str(folder)!r}, name).write_text(f"{{began}} {{time.monotonic()}}")
"""
    list(run_grid(bench, folder / "work", [sys.executable, "-c", clocked], workers=2))
    assert len(read_results(bench).cells) == 4
    times = {
        cell: [float(t) for t in (folder / cell.name.replace("/", "-")).read_text().split()]
        for cell in bench.cells()
    }
    for cell, (began, _) in times.items():
        for source in bench.sources(cell):
            assert times[source][1] <= began
    (first, first_end), (second, second_end), *_ = sorted(times.values())
    assert second < first_end
    assert first < second_end


def test_a_failed_cell_lets_those_beside_it_end(folder):
    groups = [
        {"method": "scratch", "formats": ["mixed"], "seeds": [1]},
        {"method": "scratch", "formats": ["w8a8"], "seeds": [1, 2]},
    ]
    bench = read_bench(write_bench(folder, cells=groups))
    slow = f"import sys, time; time.sleep('w8a8' in sys.argv[1] and 1.0)\n{FAKE}"
    with pytest.raises(GridError, match="cell scratch/mixed/1 failed"):
        list(run_grid(bench, folder / "work", [sys.executable, "-c", slow], workers=2))
    assert [cell.name for cell in read_results(bench).cells] == ["scratch/w8a8/1"]


def test_a_line_is_kept_though_nobody_asks_for_it(folder):
    bench = read_bench(write_bench(folder, **only_w4a8()))
    lines = run_grid(bench, folder / "work", FAKE_COMMAND, workers=2)
    next(lines)
    lines.close()
    assert len(read_results(bench).cells) >= 2


def test_cells_may_be_added_and_nothing_else_changed(folder):
    bench = read_bench(write_bench(folder, **only_w4a8()))
    assert len(list(run_grid(bench, folder / "work", FAKE_COMMAND))) == 4
    more = {"cells": [{"method": "tuned", "formats": ["w4a8"], "seeds": [3]}]}
    grown = BENCH["maps"] | {"wide": {"default": "w8a8"}}
    claims = [*BENCH["comparisons"], BENCH["comparisons"][0] | {"margin": 0.0}]
    wider = write_bench(folder, **more, maps=grown, comparisons=claims)
    assert len(read_results(read_bench(wider)).cells) == 4
    margin = [BENCH["comparisons"][0] | {"margin": 0.5}]
    with pytest.raises(
        ConfigError, match=r"has changed since .*: comparisons was .*'margin': 0.02"
    ):
        read_results(read_bench(write_bench(folder, comparisons=margin)))
    recipe = folder / "config.yaml"
    write_bench(folder)
    recipe.write_text(recipe.read_text().replace("epochs: 2", "epochs: 9"))
    with pytest.raises(ConfigError, match=r"recipe\.loop\.epochs was 2 and is 9"):
        read_results(read_bench(folder / "bench.yaml"))


def test_the_machine_is_no_part_of_the_configuration(folder):
    bench = read_bench(write_bench(folder, **only_w4a8()))
    list(run_grid(bench, folder / "work", FAKE_COMMAND))
    recipe = folder / "config.yaml"
    recipe.write_text(recipe.read_text().replace("threads: 1", "threads: 7"))
    assert len(read_results(read_bench(bench.path)).cells) == 4


def test_results_from_before_a_key_stay_good(folder):
    bench = read_bench(write_bench(folder, **only_w4a8()))
    list(run_grid(bench, folder / "work", FAKE_COMMAND))
    first, *others = bench.results.read_text().splitlines()
    line = json.loads(first)
    del line["configuration"]["recipe"]["augment"]["joined_chance"]
    bench.results.write_text("\n".join([json.dumps(line), *others]) + "\n")
    assert len(read_results(bench).cells) == 4
    line["configuration"]["recipe"]["augment"]["forgotten"] = 1
    bench.results.write_text("\n".join([json.dumps(line), *others]) + "\n")
    with pytest.raises(ConfigError, match=r"bench\.jsonl:1 .*forgotten"):
        read_results(bench)


def test_a_damaged_line_is_named(folder):
    bench = read_bench(write_bench(folder))
    bench.results.write_text('{"method": "tuned"}\n')
    with pytest.raises(UsageError, match=r"bench\.jsonl:1 is no result line: 'number_format'"):
        read_results(bench)


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"name": None}, "name is None"),
        ({"cells": []}, "has no cells"),
        ({"comparisons": [{"of": "tuned/w4a8", "against": "float32", "margin": 0}]}, "'float32'"),
        ({"cells": [{"method": "lucky", "formats": ["w4a8"], "seeds": [1]}]}, "no method 'lucky'"),
        ({"cells": [{"method": "tuned", "formats": ["w9a8"], "seeds": [1]}]}, "'w9a8'"),
        ({"cells": [{"method": "tuned", "formats": ["w4a8"]}]}, r"cells\[0\].seeds is missing"),
        ({"calibration": []}, "calibration is empty"),
        ({"methods": {"tuned": {"kind": "guess"}}}, "methods.tuned.kind is 'guess'"),
        ({"methods": {"tuned": {"start": "tuned/w4a8"}}}, "leads back to tuned/w4a8/1"),
        ({"methods": {"tuned": {"teacher": "tuned/w4a8"}}}, "leads back to tuned/w4a8/1"),
        (
            {"methods": {"tuned": {"kind": "post_training", "start": "x/y", "teacher": "x/y"}}},
            "methods.tuned.teacher is 'x/y'; nothing is trained there",
        ),
        ({"recipes": "x"}, "unknown configuration key 'recipes'"),
    ],
)
def test_mistakes(folder, changes, named):
    plain = {"comparisons": []} if "methods" in changes else {}
    with pytest.raises(ConfigError, match=named):
        read_bench(write_bench(folder, **(plain | changes)))


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        (
            {"methods": BENCH["methods"] | {"tuned": {"overrides": ["loop.epoch=1"]}}},
            "tuned/w4a8: unknown configuration key 'loop.epoch'",
        ),
        (
            {"methods": BENCH["methods"] | {"quick": {"observer": "entropy"}}},
            "methods.quick.observer is 'entropy'",
        ),
        (
            {"maps": {"mixed": {"default": "w4a8", "layers": {"nothing": "w8a8"}}}},
            "tuned/mixed: quantization pattern 'nothing' matches no layer",
        ),
        (
            {"maps": {"mixed": {"default": "w4a8", "layers": {"ctc": "w9a8"}}}},
            "tuned/mixed: quantization.layers.ctc is 'w9a8'",
        ),
        ({"evaluation": {"test": ["none.jsonl"]}}, "evaluation.test: no manifest at .*none.jsonl"),
        ({"evaluation": {"test": ["train.jsonl"], "mode": "magic"}}, "evaluation.mode is 'magic'"),
    ],
)
def test_mistakes_that_a_later_cell_would_show(folder, changes, named):
    bench = read_bench(write_bench(folder, **changes))
    with pytest.raises(ConfigError, match=named):
        cells.check_cells(bench)
    cells.check_cells(read_bench(write_bench(folder)))


def test_a_cell_waits_for_one_left_over(folder, monkeypatch):
    bench = read_bench(write_bench(folder))
    cell = bench.cell_named("tuned/mixed/2")
    monkeypatch.setattr(cells, "_run_cell", lambda *_: {"ran": True})
    place = folder / "work" / cell.name
    place.mkdir(parents=True)
    with ThreadPoolExecutor(1) as pool:
        with FileLock(place / "cell.lock"):
            running = pool.submit(cells.run_cell, bench, cell, folder / "work")
            with pytest.raises(TimeoutError):
                running.result(timeout=0.5)
        assert running.result(timeout=60) == {"ran": True}


def test_figures_by_hand(folder):
    bench = read_bench(write_bench(folder, **only_w4a8()))
    results = Results(dict(run_grid(bench, folder / "work", FAKE_COMMAND)), {"w4a8": 0.5})
    rows = {row.name: row for row in report.rows_of(bench, results)}
    assert rows["tuned/w4a8"].mean("wer") == pytest.approx((5 / 20 + 6 / 20) / 2)
    assert rows["tuned/w4a8"].wer_spread == pytest.approx(0.05 / 2**0.5)
    assert (rows["tuned/w4a8"].chunk_ms, rows["scratch/float32"].chunk_ms) == (0.5, None)
    (line,) = report.comparisons(bench, results)
    pooled = line["splits"]["all"]
    assert line["seeds"] == [1, 2]
    assert line["missing"] == []
    assert line["by_seed"] == [0.25, 0.2]  # 5 errors against 4, 6 against 5
    assert pooled["value"] == pytest.approx(11 / 9 - 1, abs=1e-5)  # 5 + 6 errors, 4 + 5
    assert not pooled["non_inferior"]
    assert "not shown" in report.comparison_table([line])
    del results.cells[Cell("tuned", "w4a8", 2)]
    (line,) = report.comparisons(bench, results)
    assert (line["seeds"], line["missing"]) == ([1], [2])
    assert "seeds are missing" in report.comparison_table([line])
    assert "tuned/w4a8" in report.table(list(rows.values()))


def test_plots_are_the_same_each_time(folder):
    bench = read_bench(write_bench(folder, **only_w4a8()))
    results = Results(dict(run_grid(bench, folder / "work", FAKE_COMMAND)))
    rows = report.rows_of(bench, results)
    contents = []
    for name in ("a.svg", "b.svg"):
        report.plot(rows, lambda row: row.mean("bytes"), "bytes of the model file", folder / name)
        contents.append((folder / name).read_bytes())
    assert contents[0] == contents[1]
    assert b"<svg" in contents[0]


def test_a_cell_whose_engine_says_something_else_fails(folder, monkeypatch):
    bench = read_bench(write_bench(folder))
    heard = Evaluation(transcripts={"0": "low", "1": "mid", "2": "high"})
    said = Evaluation(transcripts={"0": "low", "1": "mid", "2": "mid"})
    monkeypatch.setattr(cells, "_recognise", lambda *_: said)
    monkeypatch.setattr(cells, "CheckpointModel", lambda _: None)
    splits = {"train.jsonl": [None] * 3}
    with pytest.raises(cells.CellError, match=r"tuned/w4a8/1: .* differ on 1 of 3 texts; 1.0%"):
        cells._differing(bench, Cell("tuned", "w4a8", 1), folder, splits, {"train.jsonl": heard})


def test_a_real_cell_is_trained_compiled_and_recognised(folder):
    bench = read_bench(write_bench(folder))
    name = bench.cell_named("tuned/mixed/2")
    line = cells.run_cell(bench, name, folder / "work")
    keep(bench, line)
    assert (line["method"], line["number_format"], line["seed"]) == ("tuned", "mixed", 2)
    assert line["texts_compared"] == 3
    assert line["texts_differing"] == 0
    assert 4 < line["bits_per_weight"] < 8
    assert line["machine"]
    assert line["code"]
    assert [words for _, words in line["speakers"]["train.jsonl"]] == [1, 2, 3]
    start = folder / "work" / "scratch" / "float32" / "2" / "result"
    assert start.is_dir()
    config = yaml.safe_load((folder / "work" / "tuned" / "mixed" / "2" / "config.yaml").read_text())
    assert config["distillation"]["teacher"] == str(start)
    times = time_formats(bench, read_results(bench), folder / "work")
    assert times["encoder_chunk_ms"].keys() == {"mixed"}  # no other cell was compiled
    assert times["encoder_chunk_ms"]["mixed"] > 0
    keep(bench, times)
    results = read_results(bench)
    assert results.chunk_ms == times["encoder_chunk_ms"]
    assert results.cells == {name: line}
    assert time_formats(bench, results, folder / "work") is None
