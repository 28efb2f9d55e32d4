#include "decode/word_graph.h"

#include <algorithm>
#include <cstdlib>
#include <deque>
#include <limits>
#include <numeric>
#include <unordered_map>
#include <utility>

#include "decode/jsgf_lexer.h"
#include "specified_math.h"

namespace halfbyte {
namespace {

constexpr char kSpaces[] = " \t\v\f\r";
constexpr int kDeepest = 100;  // groups in groups, and rules in rules

// What both notations build.
class Builder {
 public:
  explicit Builder(const std::string& name) { graph_.name = name; }

  int32_t node() { return graph_.num_nodes++; }

  void add(const WordGraph::Arc& arc, int line) {
    if (graph_.arcs.size() == kMostArcs)
      refuse_grammar(graph_.name, line,
                     "the grammar has more than " + std::to_string(kMostArcs) +
                         " words and joints, its rules put in wherever they are used; make it smaller");
    graph_.arcs.push_back(arc);
  }
  void join(int32_t from, int32_t to, int line, double weight = 0) { add({from, to, -1, weight}, line); }

  int32_t word(const std::string& text, int line) {
    const auto [found, is_new] = word_ids_.try_emplace(text, static_cast<int32_t>(graph_.words.size()));
    if (is_new) graph_.words.push_back({text, line});
    return found->second;
  }
  int32_t rule(const std::string& name) {
    const auto [found, is_new] = rule_ids_.try_emplace(name, static_cast<int32_t>(graph_.rules.size()));
    if (is_new) graph_.rules.push_back(name);
    return found->second;
  }

  const std::string& name() const { return graph_.name; }
  std::size_t num_arcs() const { return graph_.arcs.size(); }
  void weigh(std::size_t arc, double weight) { graph_.arcs[arc].weight = weight; }
  void forget_arcs() { graph_.arcs.clear(); }

  WordGraph take() {
    const auto is_before = [](const WordGraph::Arc& a, const WordGraph::Arc& b) { return a.from < b.from; };
    std::stable_sort(graph_.arcs.begin(), graph_.arcs.end(), is_before);
    graph_.leaves.assign(static_cast<std::size_t>(graph_.num_nodes) + 1, 0);
    for (const WordGraph::Arc& arc : graph_.arcs) ++graph_.leaves[static_cast<std::size_t>(arc.from) + 1];
    std::partial_sum(graph_.leaves.begin(), graph_.leaves.end(), graph_.leaves.begin());
    return std::move(graph_);
  }

 private:
  WordGraph graph_;
  std::unordered_map<std::string, int32_t> word_ids_, rule_ids_;
};

// One phrase a line; phrases share the words that they begin with.
WordGraph read_list(const GrammarSource& source) {
  Builder builder(source.name);
  std::unordered_map<uint64_t, int32_t> children;
  int line = 0, num_phrases = 0;
  for (std::size_t at = 0; at < source.text.size(); ++at) {
    const std::size_t end = std::min(source.text.find('\n', at), source.text.size());
    std::string text = source.text.substr(at, end - at);
    text.resize(std::min(text.find('#'), text.size()));
    at = end;
    ++line;
    int32_t node = 0;
    for (std::size_t begin = text.find_first_not_of(kSpaces); begin != std::string::npos;) {
      const std::size_t after = std::min(text.find_first_of(kSpaces, begin), text.size());
      const int32_t word = builder.word(text.substr(begin, after - begin), line);
      const auto key = static_cast<uint64_t>(node) << 32 | static_cast<uint64_t>(word);
      const auto [child, is_new] = children.try_emplace(key, 0);
      if (is_new) {
        child->second = builder.node();
        builder.add({node, child->second, word}, line);
      }
      node = child->second;
      begin = text.find_first_not_of(kSpaces, after);
    }
    if (node == 0) continue;
    if (++num_phrases > kMostPhrases)
      refuse_grammar(source.name, line, "more than " + std::to_string(kMostPhrases) + " phrases; give fewer");
    builder.join(node, 1, line);
  }
  if (num_phrases == 0)
    refuse_grammar(source.name, std::max(1, line), "no phrases; expected one a line, or JSGF");
  return builder.take();
}

class JsgfReader {
 public:
  explicit JsgfReader(const GrammarSource& source) : builder_(source.name), tokens_(jsgf_tokens(source)) {}

  WordGraph read() {
    while (now().kind != JsgfToken::Kind::kEnd) statement();
    std::vector<std::pair<std::string, Rule>> rules(rules_.begin(), rules_.end());
    std::sort(rules.begin(), rules.end(),
              [](const auto& a, const auto& b) { return a.second.begin < b.second.begin; });
    for (const auto& [name, rule] : rules)
      expand(name, 0);  // mistakes are told of rules that nothing uses, too
    builder_.forget_arcs();
    for (const auto& [name, rule] : rules)
      if (rule.is_public) builder_.join(expand(name, 0), 1, rule.line);
    if (builder_.num_arcs() == 0)
      refuse_grammar(builder_.name(), now().line, "no public rule; expected public <name> = ...;");
    return builder_.take();
  }

 private:
  struct Rule {
    std::size_t begin;  // its first token after =
    bool is_public;
    int line;
  };
  struct Alternative {
    int32_t last;     // node
    std::size_t arc;  // that takes the weight
    double weight;
  };

  const JsgfToken& now() const { return tokens_[at_]; }

  [[noreturn]] void refuse(const std::string& expected) const {
    const std::string came = now().kind == JsgfToken::Kind::kEnd ? now().text : "'" + now().text + "'";
    refuse_grammar(builder_.name(), now().line, "expected " + expected + ", not " + came);
  }

  void take(char symbol, const std::string& expected) {
    if (!now().is(symbol)) refuse(expected);
    ++at_;
  }

  // `grammar name;` or a rule, whose body is left for expand().
  void statement() {
    if (now().text == "import") refuse("rules; imports are not supported");
    if (now().text == "grammar" && rules_.empty()) {
      while (now().kind == JsgfToken::Kind::kWord) ++at_;
      take(';', "; after the grammar's name");
      return;
    }
    const bool is_public = now().kind == JsgfToken::Kind::kWord && now().text == "public";
    if (is_public) ++at_;
    if (now().kind != JsgfToken::Kind::kRule) refuse("a rule such as public <name> = ...;");
    const JsgfToken name = tokens_[at_++];
    take('=', "= after <" + name.text + ">");
    if (!rules_.try_emplace(name.text, Rule{at_, is_public, name.line}).second)
      refuse_grammar(builder_.name(), name.line, "the rule <" + name.text + "> is there twice");
    while (!now().is(';')) {
      if (now().kind == JsgfToken::Kind::kEnd || now().is('='))
        refuse("; after the rule <" + name.text + ">");
      ++at_;
    }
    ++at_;
  }

  // Puts a rule in after a node; returns the node after it.
  int32_t expand(const std::string& name, int32_t from) {
    const auto rule = rules_.find(name);
    if (rule == rules_.end())
      refuse_grammar(builder_.name(), now().line, "the rule <" + name + "> is used and not there");
    if (std::find(open_.begin(), open_.end(), name) != open_.end())
      refuse_grammar(builder_.name(), now().line,
                     "the rule <" + name + "> refers to itself; say repetitions by * or +");
    go_deeper();
    open_.push_back(name);
    const std::size_t after = std::exchange(at_, rule->second.begin);
    const int32_t id = builder_.rule(name), begin = builder_.node(), end = builder_.node();
    builder_.add({from, begin, -1, 0, WordGraph::Mark::kOpen, id}, now().line);
    const int32_t last = alternatives(begin);
    if (!now().is(';')) refuse("; after the rule <" + name + ">");
    builder_.add({last, end, -1, 0, WordGraph::Mark::kClose, id}, now().line);
    at_ = after;
    open_.pop_back();
    --depth_;
    return end;
  }

  int32_t alternatives(int32_t from) {
    std::vector<Alternative> all;
    double largest = 0;
    do {
      if (!all.empty()) ++at_;
      all.push_back({0, builder_.num_arcs(), weight()});
      largest = std::max(largest, all.back().weight);
      const int32_t begin = builder_.node();
      builder_.join(from, begin, now().line);
      all.back().last = sequence(begin);
    } while (now().is('|'));
    const int32_t to = builder_.node();
    for (const Alternative& one : all) {
      builder_.weigh(one.arc, specified_log(one.weight / largest));
      builder_.join(one.last, to, now().line);
    }
    return to;
  }

  double weight() {
    if (now().kind != JsgfToken::Kind::kWeight) return 1.0;
    const std::string& text = now().text;
    char* end = nullptr;
    const double value = std::strtod(text.c_str(), &end);
    if (text.empty() || *end != '\0' || !(value > 0 && value < std::numeric_limits<double>::infinity()))
      refuse("a weight above 0 between two /");
    ++at_;
    return value;
  }

  int32_t sequence(int32_t from) {
    const std::size_t begin = at_;
    while (starts_item()) from = item(from);
    if (at_ == begin) refuse("a word, a rule or a group");
    return from;
  }

  bool starts_item() const {
    return now().kind == JsgfToken::Kind::kWord || now().kind == JsgfToken::Kind::kRule || now().is('(') ||
           now().is('[');
  }

  // A word, a rule or a group, and how often. Nothing but what follows leaves the node that it returns: so a
  // repetition may lead back to the node where it begins.
  int32_t item(int32_t from) {
    const int line = now().line;
    bool may_skip = now().is('[');
    int32_t to = once(from);
    if (now().is('*') || now().is('+')) {
      const int32_t last = std::exchange(to, builder_.node());
      builder_.join(last, from, line);
      builder_.join(last, to, line);
    }
    for (; now().is('*') || now().is('+'); ++at_) may_skip = may_skip || now().is('*');
    if (may_skip) builder_.join(from, to, line);
    return to;
  }

  int32_t once(int32_t from) {
    const JsgfToken first = tokens_[at_++];
    if (first.kind == JsgfToken::Kind::kWord) {
      const int32_t to = builder_.node();
      builder_.add({from, to, builder_.word(first.text, first.line)}, first.line);
      return to;
    }
    if (first.kind == JsgfToken::Kind::kRule) {
      if (first.text == "NULL") return from;
      if (first.text == "VOID") return builder_.node();  // where no path leads
      --at_;
      const int32_t to = expand(first.text, from);
      ++at_;
      return to;
    }
    go_deeper();
    const int32_t to = alternatives(from);
    const char closing = first.is('(') ? ')' : ']';
    take(closing, std::string(1, closing));
    --depth_;
    return to;
  }

  void go_deeper() {
    if (++depth_ > kDeepest)
      refuse_grammar(builder_.name(), now().line,
                     "groups and rules lie more than " + std::to_string(kDeepest) + " deep in each other");
  }

  Builder builder_;
  std::vector<JsgfToken> tokens_;
  std::size_t at_ = 0;
  int depth_ = 0;
  std::unordered_map<std::string, Rule> rules_;
  std::vector<std::string> open_;  // rules that are being put in
};

// The likeliest path of some words.
class SlotReader {
 public:
  SlotReader(const WordGraph& graph, const std::vector<std::string>& words) : graph_(graph), words_(words) {}

  std::vector<Slot> run() {
    layers_.assign(words_.size() + 1, Layer(static_cast<std::size_t>(graph_.num_nodes)));
    reach(0, graph_.start, 0, kNoArc);
    for (std::size_t place = 0; place <= words_.size(); ++place) spread(place);
    return layers_.back()[static_cast<std::size_t>(graph_.end)].score > kImpossible ? slots()
                                                                                    : std::vector<Slot>();
  }

 private:
  static constexpr double kImpossible = -std::numeric_limits<double>::infinity();
  static constexpr std::size_t kNoArc = static_cast<std::size_t>(-1);
  struct Reached {
    double score = kImpossible;
    std::size_t arc = kNoArc;  // the last one
  };
  using Layer = std::vector<Reached>;  // of the nodes, after some of the words

  void reach(std::size_t place, int32_t node, double score, std::size_t arc) {
    Reached& reached = layers_[place][static_cast<std::size_t>(node)];
    if (!(score > reached.score)) return;
    reached = {score, arc};
    waiting_[place % 2].push_back(node);
  }

  void spread(std::size_t place) {
    std::deque<int32_t>& waiting = waiting_[place % 2];
    for (; !waiting.empty(); waiting.pop_front()) {
      const auto node = static_cast<std::size_t>(waiting.front());
      const double score = layers_[place][node].score;
      for (std::size_t i = graph_.leaves[node]; i < graph_.leaves[node + 1]; ++i) {
        const WordGraph::Arc& arc = graph_.arcs[i];
        if (arc.word < 0) {
          reach(place, arc.to, score + arc.weight, i);
        } else if (place < words_.size() &&
                   graph_.words[static_cast<std::size_t>(arc.word)].text == words_[place]) {
          reach(place + 1, arc.to, score + arc.weight, i);
        }
      }
    }
  }

  // Back along the path: a rule's end comes before its beginning.
  std::vector<Slot> slots() const {
    std::vector<Slot> found;
    std::vector<std::string> open;  // words of the rules that the path is in
    std::size_t place = words_.size();
    for (int32_t node = graph_.end; node != graph_.start || place > 0;) {
      const WordGraph::Arc& arc = graph_.arcs[layers_[place][static_cast<std::size_t>(node)].arc];
      if (arc.word >= 0) {
        --place;
        for (std::string& text : open) text = words_[place] + (text.empty() ? "" : " " + text);
      } else if (arc.mark == WordGraph::Mark::kClose) {
        open.emplace_back();
      } else if (arc.mark == WordGraph::Mark::kOpen) {
        if (!open.back().empty())
          found.push_back({graph_.rules[static_cast<std::size_t>(arc.rule)], open.back()});
        open.pop_back();
      }
      node = arc.from;
    }
    return {found.rbegin(), found.rend()};
  }

  const WordGraph& graph_;
  const std::vector<std::string>& words_;
  std::vector<Layer> layers_;
  std::deque<int32_t> waiting_[2];
};

}  // namespace

WordGraph read_grammar(const GrammarSource& source) {
  return source.text.compare(0, 5, "#JSGF") == 0 ? JsgfReader(source).read() : read_list(source);
}

std::vector<Slot> slots_of(const WordGraph& graph, const std::vector<std::string>& words) {
  return graph.rules.empty() ? std::vector<Slot>() : SlotReader(graph, words).run();
}

}  // namespace halfbyte
