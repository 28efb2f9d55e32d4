// A grammar's text, cut into tokens.
#pragma once
#include <string>
#include <vector>

#include "decode/word_graph.h"

namespace halfbyte {

struct JsgfToken {
  enum class Kind { kWord, kRule, kWeight, kSymbol, kEnd };
  Kind kind;
  std::string text;  // of a rule: its name; of a weight: its number; of a symbol: the character
  int line;

  bool is(char symbol) const { return kind == Kind::kSymbol && text[0] == symbol; }
};

// Throws Error(kUsage): the grammar `name` has this problem at that line.
[[noreturn]] void refuse_grammar(const std::string& name, int line, const std::string& problem);

// Without the header line, comments and tags; the last token is kEnd.
std::vector<JsgfToken> jsgf_tokens(const GrammarSource& source);

}  // namespace halfbyte
