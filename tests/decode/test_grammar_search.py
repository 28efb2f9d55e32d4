"""Grammars and their search, against an enumeration of every sentence and every path."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from brute_force import all_paths, collapse, random_log_probs
from hypothesis import given, settings
from hypothesis import strategies as st

from halfbyte._core import decode
from halfbyte.errors import UsageError

TOKENS = ["<blank>", "\u2581", "\u2581a", "b", "a", "<unk>"]
WORDS = ["a", "b", "ab", "aa", "ba"]
NUM_FRAMES = 5
Tree = tuple  # (kind, parts...)
Sentences = dict[tuple[str, ...], float]  # with the weight of its best derivation


def trees() -> st.SearchStrategy[Tree]:
    """Random right sides of rules."""
    words = st.tuples(st.just("word"), st.sampled_from(WORDS))
    weights = st.sampled_from([None, 0.5, 2.0, 7.0])

    def bigger(parts: st.SearchStrategy[Tree]) -> st.SearchStrategy[Tree]:
        return st.one_of(
            st.tuples(st.just("sequence"), st.lists(parts, min_size=2, max_size=3)),
            st.tuples(
                st.just("either"), st.lists(st.tuples(weights, parts), min_size=2, max_size=3)
            ),
            st.tuples(st.sampled_from(["optional", "star", "plus", "rule"]), parts),
        )

    return st.recursive(words, bigger, max_leaves=6)


def written(tree: Tree, rules: list[str]) -> str:
    """As JSGF; rules that it needs are added."""
    kind, content = tree
    if kind == "word":
        return content
    if kind == "sequence":
        return "(" + " ".join(written(part, rules) for part in content) + ")"
    if kind == "either":
        return f"({' | '.join(_weight(w) + written(part, rules) for w, part in content)})"
    inner = written(content, rules)
    if kind == "rule":
        rules.append(f"<rule{len(rules)}> = {inner};")
        return f"<rule{len(rules) - 1}>"
    return {"optional": f"[{inner}]", "star": f"({inner})*", "plus": f"({inner})+"}[kind]


def _weight(weight: float | None) -> str:
    return "" if weight is None else f"/{weight}/ "


def sentences(tree: Tree) -> Sentences:
    """Every sentence of at most NUM_FRAMES words."""
    kind, content = tree
    if kind == "word":
        return {(content,): 0.0}
    if kind == "sequence":
        found: Sentences = {(): 0.0}
        for part in content:
            found = _joined(found, sentences(part))
        return found
    if kind == "either":
        largest = max(weight or 1.0 for weight, _ in content)
        shared = [(math.log((w or 1.0) / largest), sentences(part)) for w, part in content]
        return _best((words, s + score) for s, part in shared for words, score in part.items())
    once = sentences(content)
    if kind == "rule":
        return once
    found = dict(once) if kind == "plus" else {(): 0.0} | once
    if kind == "optional":
        return _best([*once.items(), ((), 0.0)])
    if kind == "star":
        found = _best([*once.items(), ((), 0.0)])
    for _ in range(NUM_FRAMES):
        found = _best([*found.items(), *_joined(found, once).items()])
    return found


def _joined(left: Sentences, right: Sentences) -> Sentences:
    return _best(
        (a + b, left[a] + right[b]) for a in left for b in right if len(a + b) <= NUM_FRAMES
    )


def _best(items) -> Sentences:
    found: Sentences = {}
    for words, score in items:
        found[words] = max(score, found.get(words, -math.inf))
    return found


def spellings(words: tuple[str, ...]) -> list[tuple[int, ...]]:
    """Every way to cut words into tokens."""
    return [tuple(itertools.chain(*one)) for one in itertools.product(*map(_cuts, words))]


def _cuts(word: str) -> list[tuple[int, ...]]:
    def cut(text: str) -> list[tuple[int, ...]]:
        if not text:
            return [()]
        return [
            (number, *rest)
            for number, token in enumerate(TOKENS)
            if text.startswith(token)
            for rest in cut(text[len(token) :])
        ]

    return cut("\u2581" + word)


def by_brute_force(tree: Tree, log_probs: np.ndarray) -> dict[str, float]:
    """Text and score of all that may be said, nothing included."""
    paths: dict[tuple[int, ...], float] = {}
    for path, score in all_paths(log_probs):
        tokens = collapse(path)
        paths[tokens] = max(score, paths.get(tokens, -math.inf))
    found = {"": paths[()]}
    for words, weight in sentences(tree).items():
        scores = [paths[tokens] + weight for tokens in spellings(words) if tokens in paths]
        if scores:
            text = " ".join(words)
            found[text] = max(found.get(text, -math.inf), *scores)
    return found


def text_of(tokens: list[int]) -> str:
    return "".join(TOKENS[token] for token in tokens).replace("\u2581", " ").strip()


def compiled(text: str, tokens: list[str] | None = None):
    return decode.compile_grammar("g.jsgf", text, TOKENS if tokens is None else tokens)


@settings(max_examples=150, deadline=None)
@given(trees(), st.integers(0, 2**31), st.integers(1, 6), st.integers(0, NUM_FRAMES))
def test_is_exact(tree: Tree, seed: int, num_best: int, cut: int) -> None:
    log_probs = random_log_probs(NUM_FRAMES, len(TOKENS), seed)
    rules: list[str] = []
    body = written(tree, rules)
    source = "\n".join(["#JSGF V1.0;", "grammar g;", f"public <top> = {body};", *rules])
    search = decode.CtcGrammarSearch(compiled(source), num_best=num_best)
    search.accept(log_probs[:cut])
    search.accept(log_probs[cut:])
    expected = by_brute_force(tree, log_probs)
    found = [(text_of(one.tokens), one.score) for one in search.best()]
    best = sorted(expected.values(), reverse=True)[:num_best]
    assert [score for _, score in found] == pytest.approx(best, abs=1e-9)
    for text, score in found:
        assert expected[text] == pytest.approx(score, abs=1e-9)
    assert search.free_score == pytest.approx(float(log_probs.max(axis=1).astype(float).sum()))


@settings(max_examples=50, deadline=None)
@given(st.lists(st.lists(st.sampled_from(WORDS), min_size=1, max_size=3), min_size=1, max_size=8))
def test_a_list_is_its_phrases(phrases: list[list[str]]) -> None:
    log_probs = random_log_probs(NUM_FRAMES, len(TOKENS), len(phrases))
    tree = ("either", [(None, ("sequence", [("word", w) for w in phrase])) for phrase in phrases])
    search = decode.CtcGrammarSearch(compiled("\n".join(" ".join(p) for p in phrases)), num_best=9)
    search.accept(log_probs)
    expected = sorted(by_brute_force(tree, log_probs).values(), reverse=True)[:9]
    assert [one.score for one in search.best()] == pytest.approx(expected, abs=1e-9)


def test_tokens_keep_their_frames_over_many_frames() -> None:
    """Long enough that unused histories are dropped."""
    phrases = [" ".join(words) for words in itertools.product(WORDS, repeat=5)]
    search = decode.CtcGrammarSearch(compiled("\n".join(phrases)), num_best=2)
    log_probs = np.full((300, len(TOKENS)), -9.0, np.float32)
    log_probs[:, 0] = 0.0
    said = [2, 2, 1, 3, 2, 3, 2, 4]  # a a b ab aa
    for place, token in enumerate(said):
        log_probs[20 + 30 * place, token] = 5.0
    search.accept(log_probs)
    best = search.best()[0]
    assert (text_of(best.tokens), best.tokens) == ("a a b ab aa", said)
    assert best.frames == [20 + 30 * place for place in range(len(said))]


def test_slots_are_what_rules_stand_for() -> None:
    grammar = compiled(
        """#JSGF V1.0;
        grammar order;  // a comment
        public <order> = [<polite>] <what> [b <count>] {a tag};
        <polite> = aa; /* another
        comment */ <what> = ba | /3/ ab "a b"; <count> = a+;"""
    )
    slots = [(slot.name, slot.text) for slot in grammar.slots("aa ab a b b a a")]
    assert slots == [
        ("order", "aa ab a b b a a"), ("polite", "aa"), ("what", "ab a b"), ("count", "a a")
    ]  # fmt: skip
    assert [slot.name for slot in grammar.slots("ba")] == ["order", "what"]
    assert grammar.slots("b") == []


HEAD = "#JSGF V1.0;\ngrammar g;\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "g.jsgf:1: no phrases; expected one a line, or JSGF"),
        ("# only a comment\n\n", "g.jsgf:2: no phrases"),
        ("a b\nhot dog\n", "g.jsgf:2: the word 'hot' cannot be spelled"),
        ("\n".join(["a"] * 10001), "g.jsgf:10001: more than 10000 phrases; give fewer"),
        (HEAD + "public <a> = b [a;", "g.jsgf:3: expected ], not ';'"),
        (HEAD + "public <a> = b a", "g.jsgf:3: expected ; after the rule <a>, not the end of"),
        (HEAD + "public <a> = (a | );", "g.jsgf:3: expected a word, a rule or a group, not ')'"),
        (HEAD + "public <a> = a\n<b> = b;", "g.jsgf:4: expected ; after the rule <a>, not '='"),
        (HEAD + "public <a> = a |\n<b>;\n<b> = a <c>;\n<c> = [<b>];",
         "g.jsgf:6: the rule <b> refers to itself; say repetitions by * or +"),
        (HEAD + "public <a> = <b>;", "g.jsgf:3: the rule <b> is used and not there"),
        (HEAD + "<a> = a;\n<a> = b;", "g.jsgf:4: the rule <a> is there twice"),
        (HEAD + "<a> = a;", "g.jsgf:3: no public rule; expected public <name> = ...;"),
        (HEAD + "public <a> = /x/ a;", "g.jsgf:3: expected a weight above 0 between two /"),
        (HEAD + "public <a> = /-1/ a;", "g.jsgf:3: expected a weight above 0 between two /"),
        (HEAD + "public <a> = a\n /* b;", "g.jsgf:4: the comment has no end; expected */"),
        (HEAD + "public <a = a;", "g.jsgf:3: the name of a rule has no end; expected >"),
        (HEAD + "public <a> = a {b;", "g.jsgf:3: the tag has no end; expected }"),
        (HEAD + "import <x.y>;", "g.jsgf:3: expected rules; imports are not supported"),
        (HEAD + "public <a> = " + "(" * 200 + "a" + ")" * 200 + ";", "more than 100 deep"),
        (HEAD + "public <r0> = a;" + "".join(f"<r{i + 1}>=<r{i}><r{i}>;" for i in range(30)),
         "the grammar has more than 200000 words and joints"),
        (HEAD + "public <a> = " + "[a] " * 3000 + ";", "join too many places; make the grammar"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_line_with_its_place(text: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        compiled(text)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_words_are_spelled_in_the_case_that_the_model_has() -> None:
    assert compiled("AB Ba").num_arcs > 0
    assert compiled("ab", ["<blank>", "\u2581", "A", "B"]).num_arcs == 3
