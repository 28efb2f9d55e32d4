"""The table of bench/arithmetics.py: integer-only models beside dynamic ones."""

from result_lines import NOT_MEASURED, origin, table

from halfbyte.measure.result_lines import Line


def arithmetic_table(lines: list[Line]) -> str:
    """The newest line: a chunk on each instruction set."""
    if not lines:
        return NOT_MEASURED
    line = lines[-1]
    rows = [
        [isa, f"{times['integer_us']:.0f}", f"{times['dynamic_us']:.0f}", f"{times['ratio']:.2f}"]
        for isa, times in line["isas"].items()
    ]
    head = [f"a chunk of {line['chunk_ms']} ms", "integer-only, µs", "dynamic, µs", "ratio"]
    parts = [table(head, rows)]
    if line["greedy_wer"]:
        words = [
            [split, *(f"{100 * wer[name]:.1f} %" for name in ("integer", "dynamic"))]
            for split, wer in line["greedy_wer"].items()
        ]
        parts.append(table(["words wrong, greedy", "integer-only", "dynamic"], words))
    return "\n\n".join([*parts, origin([line])])
