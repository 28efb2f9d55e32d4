"""The report of measure/sensitivity.py for people: a table, a plot, a map to paste."""

import dataclasses
import io
import json
from pathlib import Path

from halfbyte.files import write_whole
from halfbyte.measure.sensitivity import Sensitivity

TABLE, MAP, PLOT = "sensitivity.jsonl", "map.yaml", "sensitivity.svg"


def write_report(found: Sensitivity, folder: Path) -> None:
    """Write a JSON line for each layer and map, the map as configuration, and a plot.

    Raises:
        ModuleNotFoundError: matplotlib is not installed.
    """
    lines = [json.dumps({"layer": cost.name, **vars(cost)}) for cost in found.costs]
    lines += [json.dumps({"map": one.name, **vars(one)}) for one in found.maps]
    write_whole(folder / TABLE, ("\n".join(lines) + "\n").encode())
    chosen = dataclasses.asdict(found.proposed)
    plain = {"quantization": {key: chosen[key] for key in ("default", "layers")}}
    write_whole(folder / MAP, (json.dumps(plain, indent=2) + "\n").encode())  # JSON is YAML
    write_whole(folder / PLOT, _plot(found))


def table(found: Sensitivity) -> str:
    """Layers by what they cost for each byte they save, the dearest first; then whole maps."""
    rows = [f"{'divergence':>12} {'WER':>8} {'saves bytes':>12} {'us':>8}  layer"]
    ranked = sorted(found.costs, key=lambda c: -c.divergence / max(1, c.saved_bytes))
    for cost in ranked:
        mark = " (stays)" if cost.name in found.proposed.layers else ""
        rows.append(
            f"{cost.divergence:12.6f} {100 * cost.wer_change:+7.2f}% {cost.saved_bytes:12,} "
            f"{cost.saved_us:8.2f}  {cost.name}{mark}"
        )
    for one in found.maps:
        rows.append(
            f"{one.divergence:12.6f} {100 * one.wer:7.2f}% {one.code_bytes:12,} bytes of codes  "
            f"{one.name}"
        )
    return "\n".join(rows)


def _plot(found: Sensitivity) -> bytes:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    matplotlib.rcParams["svg.hashsalt"] = "halfbyte"
    figure, (layers, maps) = pyplot.subplots(
        1, 2, figsize=(12, max(4, 0.16 * len(found.costs))), width_ratios=[3, 2]
    )
    colours = ["C1" if cost.name in found.proposed.layers else "C0" for cost in found.costs]
    names = [cost.name for cost in found.costs]
    layers.barh(names, [cost.divergence for cost in found.costs], color=colours)
    layers.invert_yaxis()
    layers.tick_params(axis="y", labelsize=6)
    layers.set(xlabel="divergence per label with this layer alone at fewer bits (orange: stays)")
    for one in found.maps:
        maps.plot(one.code_bytes, one.divergence, "o")
        maps.annotate(one.name, (one.code_bytes, one.divergence), textcoords="offset points",
                      xytext=(5, 4))  # fmt: skip
    maps.set(xlabel="bytes of codes", ylabel="divergence per label of the whole map")
    figure.tight_layout()
    content = io.BytesIO()
    figure.savefig(content, format="svg", metadata={"Date": None})
    pyplot.close(figure)
    return content.getvalue()
