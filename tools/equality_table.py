"""The table of bench/equality.py: what computes the same, level by level."""

from result_lines import NOT_MEASURED, origin, table

from halfbyte.measure.result_lines import Line


def equality_table(lines: list[Line]) -> str:
    """The newest line of each level: operators, models, texts, instruction sets and threads."""
    newest = {line["level"]: line for line in lines}
    shown = [write(newest[level]) for level, write in _EQUALITY_LEVELS.items() if level in newest]
    return "\n\n".join(shown) or NOT_MEASURED


def _operators_equal(line: Line) -> str:
    isas = ", ".join(line["isas"])
    cases = f"{line['cases']:,} cases of reference, torch, ONNX Runtime and the kernels of {isas}"
    return f"**Operators**: {cases} agree to the last bit. {origin([line])}"


def _models_beside(line: Line) -> str:
    """Engine and ONNX Runtime beside the training graph, chunk by chunk."""
    head = ["beside the training graph", "codes that flip", "largest difference of encoder output"]
    cells = [
        [
            name,
            f"{100 * line[name]['codes_flipped']:.2f} %",
            f"{line[name]['encoder_out_difference']:.3f}",
        ]
        for name in ("ONNX Runtime", "engine")
    ]
    note = f"{line['utterances']} test utterances in chunks of {line['chunk_ms']} ms"
    note = f"**Models**: {note}, {line['codes']:,} codes. {origin([line])}"
    return f"{note}\n\n{table(head, cells)}"


def _texts_beside(line: Line) -> str:
    """Transcripts of all test utterances beside the engine's on its best instruction set."""
    best = f"engine {line['isa']}"
    names = [name for name, value in line.items() if isinstance(value, dict) and name != best]
    cells = [
        [name, str(line[name]["texts_that_differ"]), _yes(line[name]["same_encoder_bits"])]
        for name in names
    ]
    head = [f"beside {best}", "texts that differ", "encoder output equal to the last bit"]
    kind = f"{line['chunk_ms']} ms, {line['mode']}"
    note = f"**Texts**: all {line['utterances']} test utterances, {kind}. {origin([line])}"
    return f"{note}\n\n{table(head, cells)}"


def _integers_equal(line: Line) -> str:
    """All runners of an integer-only model: the benchmark ends where one has other bits."""
    names = ", ".join(name for name, value in line.items() if isinstance(value, dict))
    texts = sum(value["texts_that_differ"] for value in line.values() if isinstance(value, dict))
    kind = f"{line['chunk_ms']} ms, {line['mode']}"
    return (
        f"**Integer-only**: {line['utterances']} test utterances, {kind}: encoder output the same "
        f"to the last bit in {names}; {texts} texts differ. {origin([line])}"
    )


def _arm_equal(line: Line) -> str:
    splits = ", ".join(f"{name} ({count})" for name, count in line["splits"].items())
    isas = ", ".join(line["isas"])
    kind = f"{line['chunk_ms']} ms, {line['mode']}"
    return (
        f"**Integer-only on emulated Arm**: {splits}, {kind}, on {isas}: encoder output the same "
        f"to the last bit as on x86, no text differs. {origin([line])}"
    )


def _threads_equal(line: Line) -> str:
    splits = ", ".join(f"{name} ({count})" for name, count in line["splits"].items())
    threads = ", ".join(map(str, line["thread_counts"]))
    isas = ", ".join(line["isas"])
    outcome = f"{line['texts_that_differ']} texts differ, encoder output the same to the last bit"
    if not line["same_encoder_bits"]:
        outcome = f"{line['texts_that_differ']} texts differ, encoder output differs"
    kind = f"{line['chunk_ms']} ms, {line['mode']}"
    return (
        f"**Instruction sets and threads**: {splits}, {kind}, on {isas} with {threads} threads: "
        f"{outcome}. {origin([line])}"
    )


def _yes(value: bool) -> str:
    return "yes" if value else "no"


_EQUALITY_LEVELS = {
    "operator": _operators_equal,
    "model": _models_beside,
    "text": _texts_beside,
    "engine": _threads_equal,
    "integer": _integers_equal,
    "arm": _arm_equal,
}
