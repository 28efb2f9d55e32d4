// The sentences of a grammar as an automaton over words.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace halfbyte {

// A grammar as its author wrote it.
struct GrammarSource {
  std::string name;  // of its file, for messages
  std::string text;  // UTF-8
};

// Words of a sentence that a rule of the grammar stands for.
struct Slot {
  std::string name;  // of the rule
  std::string text;
};

// Paths from node `start` to node `end` are the sentences. An arc has a word, or is free.
struct WordGraph {
  enum class Mark : uint8_t { kNone, kOpen, kClose };  // of a free arc: a rule begins, or ends
  struct Arc {
    int32_t from, to;
    int32_t word = -1;  // into `words`; -1: free
    double weight = 0;  // logarithm, at most 0
    Mark mark = Mark::kNone;
    int32_t rule = -1;  // into `rules`, of a mark
  };
  struct Entry {
    std::string text;
    int line;  // where it stands first, counted from 1
  };

  std::string name;                 // of the source
  std::vector<Arc> arcs;            // by `from`
  std::vector<std::size_t> leaves;  // (num_nodes + 1,): where a node's arcs begin in `arcs`, and end
  std::vector<Entry> words;
  std::vector<std::string> rules;
  int32_t num_nodes = 2;
  int32_t start = 0, end = 1;
};

constexpr int kMostPhrases = 10000;  // of a list
constexpr int kMostArcs = 200000;    // of an automaton, over words or tokens

// A grammar in JSGF where its first line begins with `#JSGF`, else a list of phrases, one a line; there `#`
// begins a comment. Of JSGF: rules, alternatives, weights, groups, optional and repeated parts, comments;
// tags are read and have no effect. An alternative's weight counts relative to the largest of its group: the
// logarithm of that share is its score. Every public rule may be said.
//
// Throws Error(kUsage), one line with name and line number: what does not parse, a rule that is missing or
// refers to itself, nothing to say, more than kMostPhrases phrases or kMostArcs arcs.
// Source: JSpeech Grammar Format, W3C note of 2000-06-05. Our difference: no imports.
WordGraph read_grammar(const GrammarSource& source);

// What the rules of the likeliest path of these words stand for, outer ones first; none where the words are
// no sentence of the grammar. Rules without words are left out.
std::vector<Slot> slots_of(const WordGraph& graph, const std::vector<std::string>& words);

}  // namespace halfbyte
