#include "decode/spelling.h"

#include <algorithm>

namespace halfbyte {
namespace {

std::string mapped(std::string text, char from, char to) {
  for (char& c : text)
    if (c >= from && c <= from + 25) c = static_cast<char>(c - from + to);
  return text;
}

}  // namespace

Speller::Speller(const std::vector<std::string>& tokens) {
  for (std::size_t id = 0; id < tokens.size(); ++id) {
    const std::string& token = tokens[id];
    if (token.empty() || (token.front() == '<' && token.back() == '>')) continue;
    ids_.try_emplace(token, static_cast<int32_t>(id));
    longest_ = std::max(longest_, token.size());
  }
}

Spelling Speller::spell(const std::string& word) const {
  Spelling spelling = pieces_of(word);
  if (spelling.pieces.empty()) spelling = pieces_of(mapped(word, 'A', 'a'));
  if (spelling.pieces.empty()) spelling = pieces_of(mapped(word, 'a', 'A'));
  return spelling;
}

Spelling Speller::pieces_of(const std::string& word) const {
  const std::string text = kWordStart + word;
  std::vector<bool> ends(text.size() + 1, false);  // whether tokens lead from there to the word's end
  ends.back() = true;
  std::vector<Spelling::Piece> found;  // between bytes, the last first
  for (std::size_t from = text.size(); from-- > 0;) {
    for (std::size_t size = std::min(longest_, text.size() - from); size > 0; --size) {
      if (!ends[from + size]) continue;
      const auto id = ids_.find(text.substr(from, size));
      if (id == ids_.end()) continue;
      ends[from] = true;
      found.push_back({static_cast<int32_t>(from), static_cast<int32_t>(from + size), id->second});
    }
  }
  Spelling spelling{word, {}, 0};
  std::vector<int32_t> nodes(text.size() + 1, -1);  // of the bytes that tokens lead to from the beginning
  nodes[0] = spelling.num_nodes++;
  for (std::size_t i = found.size(); i-- > 0;) {
    const Spelling::Piece& piece = found[i];
    if (nodes[static_cast<std::size_t>(piece.from)] < 0) continue;
    int32_t& to = nodes[static_cast<std::size_t>(piece.to)];
    if (to < 0) to = 0;
    spelling.pieces.push_back(piece);
  }
  for (std::size_t at = 1; at < nodes.size(); ++at)
    if (nodes[at] == 0) nodes[at] = spelling.num_nodes++;
  for (Spelling::Piece& piece : spelling.pieces) {
    piece.from = nodes[static_cast<std::size_t>(piece.from)];
    piece.to = nodes[static_cast<std::size_t>(piece.to)];
  }
  return spelling;
}

}  // namespace halfbyte
