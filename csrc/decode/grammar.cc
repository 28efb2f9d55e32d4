#include "decode/grammar.h"

#include <algorithm>
#include <deque>
#include <limits>
#include <numeric>
#include <sstream>

#include "decode/jsgf_lexer.h"
#include "decode/spelling.h"
#include "error.h"

namespace halfbyte {
namespace {

constexpr int kMostFollowed = 1000000;  // free arcs on the way from words to words
constexpr double kImpossible = -std::numeric_limits<double>::infinity();

class Compiler {
 public:
  Compiler(WordGraph* words, const Speller& speller) : words_(*words) {
    for (WordGraph::Entry& word : words->words) {
      spellings_.push_back(speller.spell(word.text));
      if (spellings_.back().pieces.empty())
        refuse_grammar(words->name, word.line,
                       "the word '" + word.text +
                           "' cannot be spelled with the model's tokens; write it in its "
                           "letters, numbers in words");
      word.text = spellings_.back().text;
    }
  }

  TokenGraph run() {
    unite();
    graph_.start = united(words_.start);
    graph_.end = united(words_.end);
    num_nodes_ = words_.num_nodes;
    for (const WordGraph::Arc& arc : words_.arcs)
      if (arc.word >= 0) add(arc);
    sort_arcs();
    link();
    return std::move(graph_);
  }

 private:
  // Nodes that no path can tell apart become one: first each whose only way on is a free arc without weight,
  // with the next; then each whose only way in is such an arc, with the one before.
  void unite() {
    united_.resize(static_cast<std::size_t>(words_.num_nodes));
    std::iota(united_.begin(), united_.end(), 0);
    unite_where(true);
    unite_where(false);
  }

  void unite_where(bool is_only_way_on) {
    std::vector<int> num_ways(united_.size(), 0);
    const auto node_of = [&](const WordGraph::Arc& arc) {
      return static_cast<std::size_t>(united(is_only_way_on ? arc.from : arc.to));
    };
    const auto is_loop = [&](const WordGraph::Arc& arc) {
      return arc.word < 0 && united(arc.from) == united(arc.to);
    };
    ++num_ways[static_cast<std::size_t>(united(is_only_way_on ? words_.end : words_.start))];
    std::vector<std::pair<std::size_t, const WordGraph::Arc*>> free_arcs;
    for (const WordGraph::Arc& arc : words_.arcs) {
      if (is_loop(arc)) continue;
      ++num_ways[node_of(arc)];
      if (arc.word < 0 && !(arc.weight < 0)) free_arcs.emplace_back(node_of(arc), &arc);
    }
    for (const auto& [node, arc] : free_arcs)
      if (num_ways[node] == 1) united_[static_cast<std::size_t>(united(arc->from))] = united(arc->to);
  }

  int32_t united(int32_t node) {
    while (united_[static_cast<std::size_t>(node)] != node) {
      int32_t& up = united_[static_cast<std::size_t>(node)];
      up = united_[static_cast<std::size_t>(up)];
      node = up;
    }
    return node;
  }

  // A word's tokens in place of the word.
  void add(const WordGraph::Arc& arc) {
    const Spelling& spelling = spellings_[static_cast<std::size_t>(arc.word)];
    const int32_t last = spelling.num_nodes - 1, first_inner = num_nodes_;
    num_nodes_ += last - 1;
    const auto node_of = [&](int32_t place) {
      if (place == 0) return united(arc.from);
      return place == last ? united(arc.to) : first_inner + place - 1;
    };
    for (const Spelling::Piece& piece : spelling.pieces) {
      if (graph_.arcs.size() == kMostArcs)
        refuse_grammar(words_.name, words_.words[static_cast<std::size_t>(arc.word)].line,
                       "the grammar has more than " + std::to_string(kMostArcs) + " tokens; make it smaller");
      graph_.arcs.push_back(
          {node_of(piece.from), node_of(piece.to), piece.token, piece.to == last ? arc.word : -1});
    }
  }

  void sort_arcs() {
    const auto num_nodes = static_cast<std::size_t>(num_nodes_);
    std::stable_sort(graph_.arcs.begin(), graph_.arcs.end(),
                     [](const TokenGraph::Arc& a, const TokenGraph::Arc& b) { return a.to < b.to; });
    graph_.entries.assign(num_nodes + 1, 0);
    is_left_.assign(num_nodes, false);
    for (const TokenGraph::Arc& arc : graph_.arcs) {
      ++graph_.entries[static_cast<std::size_t>(arc.to) + 1];
      is_left_[static_cast<std::size_t>(arc.from)] = true;
    }
    std::partial_sum(graph_.entries.begin(), graph_.entries.end(), graph_.entries.begin());
    is_left_[static_cast<std::size_t>(graph_.end)] = true;
  }

  void link() {
    const auto num_nodes = static_cast<std::size_t>(num_nodes_);
    free_.resize(num_nodes);
    for (const WordGraph::Arc& arc : words_.arcs) {
      const int32_t from = united(arc.from), to = united(arc.to);
      if (arc.word < 0 && from != to) free_[static_cast<std::size_t>(from)].push_back({to, arc.weight});
    }
    best_.assign(num_nodes, kImpossible);
    graph_.leaves.push_back(0);
    for (std::size_t node = 0; node < num_nodes; ++node) {
      if (graph_.entries[node] < graph_.entries[node + 1] || static_cast<int32_t>(node) == graph_.start)
        link_from(static_cast<int32_t>(node));
      graph_.leaves.push_back(graph_.links.size());
    }
  }

  // The best free paths from a node to nodes that arcs leave, and to the end.
  void link_from(int32_t start) {
    std::deque<int32_t> waiting{start};
    std::vector<int32_t> reached{start};
    best_[static_cast<std::size_t>(start)] = 0;
    for (; !waiting.empty(); waiting.pop_front()) {
      if (++num_followed_ > kMostFollowed)
        refuse_grammar(words_.name, 1,
                       "optional and repeated parts join too many places; make the grammar smaller");
      const auto node = static_cast<std::size_t>(waiting.front());
      for (const TokenGraph::Link& link : free_[node]) {
        double& best = best_[static_cast<std::size_t>(link.to)];
        if (!(best_[node] + link.weight > best)) continue;
        if (best == kImpossible) reached.push_back(link.to);
        best = best_[node] + link.weight;
        waiting.push_back(link.to);
      }
    }
    for (const int32_t node : reached) {
      double& best = best_[static_cast<std::size_t>(node)];
      if (is_left_[static_cast<std::size_t>(node)]) graph_.links.push_back({node, best});
      best = kImpossible;
    }
  }

  const WordGraph& words_;
  std::vector<Spelling> spellings_;  // of the words
  std::vector<int32_t> united_;      // of each node, one that it is the same as
  int32_t num_nodes_ = 0;
  TokenGraph graph_;
  std::vector<bool> is_left_;                        // nodes that arcs leave, and the end
  std::vector<std::vector<TokenGraph::Link>> free_;  // of each node
  std::vector<double> best_;
  int num_followed_ = 0;
};

}  // namespace

std::shared_ptr<const Grammar> Grammar::compile(const GrammarSource& source,
                                                const std::vector<std::string>& tokens) {
  auto grammar = std::make_shared<Grammar>();
  grammar->words_ = read_grammar(source);
  grammar->tokens_ = Compiler(&grammar->words_, Speller(tokens)).run();
  return grammar;
}

std::vector<Slot> Grammar::slots(const std::string& text) const {
  std::istringstream stream(text);
  std::vector<std::string> words;
  for (std::string word; stream >> word;) words.push_back(word);
  return slots_of(words_, words);
}

}  // namespace halfbyte
