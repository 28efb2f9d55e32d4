// A grammar in the tokens of a model, for searches.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "decode/word_graph.h"

namespace halfbyte {

// An automaton over tokens. Arcs lead from one node to the next and have a token; where several tokens in a
// row spell a word, every way to cut it into tokens is a path. No arc is free: what free arcs of the words'
// automaton join, links do.
struct TokenGraph {
  struct Arc {
    int32_t from, to;
    int32_t token;
    int32_t word;  // that it completes, into WordGraph::words; -1: none
  };
  struct Link {
    int32_t to;
    double weight;  // logarithm, at most 0: of the best free path
  };

  std::vector<Arc> arcs;             // by `to`
  std::vector<std::size_t> entries;  // (num_nodes + 1,): where the arcs to a node begin in `arcs`, and end
  std::vector<Link> links;           // from the nodes that arcs enter, and the start
  std::vector<std::size_t> leaves;   // (num_nodes + 1,): where a node's links begin, and end
  int32_t start, end;

  std::size_t num_nodes() const { return leaves.size() - 1; }
};

// Immutable; shared by streams and threads.
class Grammar {
 public:
  // tokens: of the model, UTF-8; U+2581 marks the start of a word; such as `<unk>` spell nothing. A word is
  // spelled as it is written, or else in lower case, or else in capitals.
  // Throws Error(kUsage) as read_grammar(), and for a word that cannot be spelled.
  static std::shared_ptr<const Grammar> compile(const GrammarSource& source,
                                                const std::vector<std::string>& tokens);

  const TokenGraph& tokens() const { return tokens_; }
  // Of a final text; see word_graph.h.
  std::vector<Slot> slots(const std::string& text) const;

 private:
  WordGraph words_;  // as they are spelled
  TokenGraph tokens_;
};

}  // namespace halfbyte
