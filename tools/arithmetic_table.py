"""The table of bench/arithmetics.py: integer-only models beside dynamic ones."""

from result_lines import NOT_MEASURED, Line, origin, table


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
    words = ""
    if "greedy_wer" in line:
        shares = [f"{100 * line['greedy_wer'][name]:.1f} %" for name in ("integer", "dynamic")]
        words = f"Words wrong on {line['manifest']}, greedy: {shares[0]} and {shares[1]}. "
    return f"{table(head, rows)}\n\n{words}{origin([line])}"
