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
    named = {"change": f"{found.figure}_change", "figure": found.figure}
    rows = [{"layer": cost.name, **vars(cost)} for cost in found.costs]
    rows += [{"map": one.name, **vars(one)} for one in found.maps]
    lines = [json.dumps({named.get(key, key): v for key, v in row.items()}) for row in rows]
    write_whole(folder / TABLE, ("\n".join(lines) + "\n").encode())
    chosen = dataclasses.asdict(found.proposed)
    plain = {"quantization": {key: chosen[key] for key in ("default", "layers")}}
    write_whole(folder / MAP, (json.dumps(plain, indent=2) + "\n").encode())  # JSON is YAML
    write_whole(folder / PLOT, _plot(found))


def table(found: Sensitivity) -> str:
    """Layers by what they cost for each byte they save, the dearest first; then whole maps."""
    rows = [
        f"{'divergence':>12} {found.figure.upper():>8} {'saves bytes':>12} {'us':>8}  in     layer"
    ]
    ranked = sorted(found.costs, key=lambda c: -c.divergence / max(1, c.saved_bytes))
    for cost in ranked:
        proposed = found.proposed.layers.get(cost.name)
        rows.append(
            f"{cost.divergence:12.6f} {100 * cost.change:+7.2f}% {cost.saved_bytes:12,} "
            f"{cost.saved_us:8.2f}  {cost.number_format}   {cost.name}"
            + (f" (proposed: {proposed})" if proposed else "")
        )
    for one in found.maps:
        rows.append(
            f"{one.divergence:12.6f} {100 * one.figure:7.2f}% {one.code_bytes:12,} bytes of codes  "
            f"{one.name}"
        )
    return "\n".join(rows)


def _label(name: str, proposed: dict[str, str]) -> str:
    return f"{name}: {proposed[name]}" if name in proposed else name


def _plot(found: Sensitivity) -> bytes:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    matplotlib.rcParams["svg.hashsalt"] = "halfbyte"
    figure, (layers, maps) = pyplot.subplots(
        1, 2, figsize=(12, max(4, 0.16 * len(found.costs))), width_ratios=[3, 2]
    )
    for number, name in enumerate(dict.fromkeys(cost.number_format for cost in found.costs)):
        own = [cost for cost in found.costs if cost.number_format == name]
        labels = [_label(cost.name, found.proposed.layers) for cost in own]
        divergences = [cost.divergence for cost in own]
        layers.barh(labels, divergences, 0.8 - 0.3 * number, label=name, zorder=-number)
    layers.invert_yaxis()
    layers.tick_params(axis="y", labelsize=6)
    layers.legend()
    layers.set(xscale="log", xlabel="divergence per label with this layer alone at fewer bits")
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
