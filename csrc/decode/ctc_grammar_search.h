// Streaming search for the sentences of a grammar.
#pragma once
#include <cstdint>
#include <memory>
#include <vector>

#include "decode/ctc_prefix_beam.h"
#include "decode/grammar.h"
#include "decode/log_probs.h"

namespace halfbyte {

// Token passing: the likeliest CTC paths whose tokens spell a sentence of the grammar, or nothing at all. The
// score of a sentence is the log probability of its best single path, and of all ways to spell it and to
// derive it the best one, plus the weights of that derivation. Nothing is pruned: the `num_best` likeliest
// sentences are exact. The result is the same on every machine and for any split of frames.
//
// A place is a node, after a blank, or an arc, within the run of its token. Each keeps the best path of each
// of at most `num_best` word sequences: O(places * num_best) time a frame, and memory. Source: Young, Russell
// & Thornton 1989, "Token passing: a simple conceptual model for connected speech recognition systems"; n
// best by Chow & Schwartz 1989. Our difference: the topology is CTC's.
class CtcGrammarSearch {
 public:
  // Throws Error(kUsage) unless num_best is 1 to 1000 and blank_id >= 0.
  CtcGrammarSearch(std::shared_ptr<const Grammar> grammar, int blank_id, int num_best);

  // The next frames. Throws Error(kInput) for what check_log_probs() refuses.
  void accept(const LogProbs& log_probs);

  // The likeliest sentences, at most num_best, likeliest first; one without tokens where there are none. A
  // token's frame is the first of its run; both scores are that of the path.
  std::vector<CtcHypothesis> best() const;
  // The likeliest path, whole sentence or not.
  CtcHypothesis partial() const;
  int64_t num_frames() const { return num_frames_; }
  // Sum over the frames of the log probability of the likeliest token: no path has more.
  double free_score() const { return free_score_; }

 private:
  struct Path {
    double score;
    uint64_t words;    // hash of the words that are complete
    int32_t emission;  // of the last token; -1: none
    int32_t token;     // whose run it is in; -1: a blank's
  };
  // A token's first frame, linked to the tokens before it.
  struct Emission {
    int32_t previous;
    int32_t token;
    int64_t frame;
  };
  // The paths of many places, best first.
  struct Paths {
    std::vector<Path> all;
    std::vector<std::size_t> ends;  // (places + 1,)

    void clear();
    const Path* begin(std::size_t place) const { return all.data() + ends[place]; }
    const Path* end(std::size_t place) const { return all.data() + ends[place + 1]; }
  };

  void accept_frame(const float* frame);
  void leave_places();
  void reach_nodes();
  void enter_arcs(const float* frame);
  void keep_apart(Paths* to);
  bool may_follow(const Path& path, const Path* begin, const Path* end) const;
  static std::size_t num_different(const Path* begin, const Path* end, int32_t token);
  void keep_best(Paths* to);
  void drop_unused_emissions();
  CtcHypothesis hypothesis_of(const Path& path) const;

  std::shared_ptr<const Grammar> grammar_;
  const TokenGraph* graph_;
  int blank_id_;
  std::size_t num_best_;
  int64_t num_frames_ = 0;
  double free_score_ = 0;
  std::vector<std::vector<TokenGraph::Link>> arrivals_;  // of each node: nodes whose links lead there
  Paths blanks_, runs_;                                  // of the nodes; of the arcs
  Paths before_;                                         // of the arcs, a frame ago
  Paths left_;                                           // of the nodes: all that may go on from there
  Paths reached_;  // of the nodes: all that may enter the arcs that leave them
  std::vector<Emission> emissions_;
  std::size_t most_emissions_;
  // Of the place at work; kept so that a frame allocates nothing.
  std::vector<Path> found_;
};

}  // namespace halfbyte
