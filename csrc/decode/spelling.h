// Words cut into the tokens of a model.
#pragma once
#include <cstddef>
#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

namespace halfbyte {

constexpr char kWordStart[] = "\xE2\x96\x81";  // U+2581

// All ways to cut a word into tokens: an automaton whose nodes are places in the word, 0 its beginning.
struct Spelling {
  struct Piece {
    int32_t from, to;  // nodes
    int32_t token;
  };
  std::string text;           // as the tokens spell it
  std::vector<Piece> pieces;  // every one lies on a path from node 0 to the last; none: it cannot be spelled
  int32_t num_nodes = 0;
};

class Speller {
 public:
  // tokens: of the model, UTF-8; U+2581 marks the start of a word. Control tokens, such as <unk>, spell
  // nothing.
  explicit Speller(const std::vector<std::string>& tokens);

  // As it is written, or else in lower case, or else in capitals (ASCII).
  Spelling spell(const std::string& word) const;

 private:
  Spelling pieces_of(const std::string& word) const;

  std::unordered_map<std::string, int32_t> ids_;
  std::size_t longest_ = 0;  // token, bytes
};

}  // namespace halfbyte
