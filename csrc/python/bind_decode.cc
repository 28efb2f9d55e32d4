#include <nanobind/stl/pair.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <string>
#include <utility>

#include "decode/attention_rescoring.h"
#include "decode/attention_search.h"
#include "decode/ctc_align.h"
#include "decode/ctc_grammar_search.h"
#include "decode/ctc_greedy.h"
#include "decode/ctc_prefix_beam.h"
#include "python/arrays.h"
#include "python/bindings.h"
#include "python/function_decoder.h"

namespace halfbyte::python {

void bind_transducer(nb::module_& decode);  // bind_transducer.cc

namespace {

using namespace nb::literals;

LogProbs view(const FloatMatrix& log_probs) {
  return LogProbs{log_probs.data(), log_probs.shape(0), log_probs.shape(1)};
}

template <typename Search>
void accept(Search& search, FloatMatrix log_probs) {
  nb::gil_scoped_release no_gil;
  search.accept(view(log_probs));
}

// save() and restore() of a search.
template <typename Search>
void bind_state(nb::class_<Search>& search) {
  search
      .def(
          "save",
          [](const Search& self) {
            std::string bytes = self.save();
            return nb::bytes(bytes.data(), bytes.size());
          },
          "The state of the search as bytes, for restore() on a machine of this kind.")
      .def(
          "restore",
          [](Search& self, nb::bytes state) { self.restore(std::string(state.c_str(), state.size())); },
          "state"_a, "Take up the state that save() of a search of equal settings returned.");
}

void bind_results(nb::module_& m) {
  nb::class_<CtcHypothesis>(m, "CtcHypothesis")
      .def_ro("tokens", &CtcHypothesis::tokens)
      .def_ro("frames", &CtcHypothesis::frames,
              "For each token, the frame where it was likeliest on the best single path.")
      .def_ro("score", &CtcHypothesis::score, "Log probability of the tokens, all paths added.")
      .def_ro("viterbi_score", &CtcHypothesis::viterbi_score, "Log probability of the best single path.");
  nb::class_<AlignedToken>(m, "AlignedToken")
      .def_ro("token", &AlignedToken::token)
      .def_ro("start_frame", &AlignedToken::start_frame)
      .def_ro("end_frame", &AlignedToken::end_frame, "One past the last frame.")
      .def_ro("confidence", &AlignedToken::confidence, "Mean probability over its frames.")
      .def_ro("mean_frame", &AlignedToken::mean_frame, "Mean of its frames, weighted by that probability.");
  nb::class_<Rescored>(m, "Rescored")
      .def_ro("index", &Rescored::index, "Into the candidates.")
      .def_ro("score", &Rescored::score, "attention_score + ctc_weight * ctc_score.")
      .def_ro("attention_score", &Rescored::attention_score, "Log probability of the tokens and of eos.")
      .def_ro("token_log_probs", &Rescored::token_log_probs, "Of each token, without eos.");
  nb::class_<AttentionHypothesis>(m, "AttentionHypothesis")
      .def_ro("tokens", &AttentionHypothesis::tokens)
      .def_ro("score", &AttentionHypothesis::score, "Log probability of the tokens and of eos.");
}

void bind_ctc(nb::module_& m) {
  nb::class_<CtcGreedy> greedy(m, "CtcGreedy", "Streaming greedy CTC search.");
  greedy.def(nb::init<int>(), "blank_id"_a = 0)
      .def("accept", &accept<CtcGreedy>, "log_probs"_a.noconvert(),
           "The next (T, V) float32 log probabilities, any T.")
      .def("reset", &CtcGreedy::reset, "Back to frame 0 of a new segment.")
      .def("copy", [](const CtcGreedy& self) { return CtcGreedy(self); })
      .def_prop_ro("tokens", &CtcGreedy::tokens)
      .def_prop_ro("frames", &CtcGreedy::frames)
      .def_prop_ro("score", &CtcGreedy::score)
      .def_prop_ro("num_frames", &CtcGreedy::num_frames);
  bind_state(greedy);
  nb::class_<CtcPrefixBeam> prefix_beam(m, "CtcPrefixBeam", "Streaming CTC prefix beam search.");
  prefix_beam.def(nb::init<int, int, int>(), "blank_id"_a = 0, "beam"_a = 10, "num_top_tokens"_a = 10)
      .def("accept", &accept<CtcPrefixBeam>, "log_probs"_a.noconvert(),
           "The next (T, V) float32 log probabilities, any T.")
      .def("reset", &CtcPrefixBeam::reset, "Back to frame 0 of a new segment.")
      .def("best", &CtcPrefixBeam::best, "count"_a = 1,
           "The `count` likeliest CtcHypothesis so far, best first; never empty.")
      .def_prop_ro("num_frames", &CtcPrefixBeam::num_frames)
      .def(
          "copy", [](const CtcPrefixBeam& self) { return CtcPrefixBeam(self); },
          "A search of its own, in the same state.");
  bind_state(prefix_beam);
  m.def(
      "ctc_greedy",
      [](FloatMatrix log_probs, int blank_id) {
        CtcGreedy search(blank_id);
        accept(search, log_probs);
        return CtcHypothesis{search.tokens(), search.frames(), search.score(), search.score()};
      },
      "log_probs"_a.noconvert(), "blank_id"_a = 0,
      "The likeliest token of every (T, V) frame, repeats merged, blanks dropped.");
  m.def(
      "ctc_align",
      [](FloatMatrix log_probs, const std::vector<int>& tokens, int blank_id) {
        nb::gil_scoped_release no_gil;
        return ctc_align(view(log_probs), tokens, blank_id);
      },
      "log_probs"_a.noconvert(), "tokens"_a, "blank_id"_a = 0,
      "When each of `tokens` was spoken: the best CTC path through (T, V) log probabilities.");
}

void bind_grammar(nb::module_& m) {
  nb::class_<Grammar>(m, "Grammar", "What may be said, in the tokens of a model.")
      .def_prop_ro("num_arcs", [](const Grammar& self) { return self.tokens().arcs.size(); })
      .def("slots", &Grammar::slots, "text"_a, "What the rules stand for in a sentence, outer ones first.");
  m.def(
      "compile_grammar",
      [](const std::string& name, const std::string& text, const std::vector<std::string>& tokens) {
        nb::gil_scoped_release no_gil;
        return std::const_pointer_cast<Grammar>(Grammar::compile({name, text}, tokens));
      },
      "name"_a, "text"_a, "tokens"_a, "JSGF or a list of phrases, in tokens.");
  nb::class_<CtcGrammarSearch>(m, "CtcGrammarSearch", "Streaming search for the sentences of a grammar.")
      .def(
          "__init__",
          [](CtcGrammarSearch* self, std::shared_ptr<Grammar> grammar, int blank_id, int num_best) {
            new (self) CtcGrammarSearch(std::move(grammar), blank_id, num_best);
          },
          "grammar"_a, "blank_id"_a = 0, "num_best"_a = 10)
      .def("accept", &accept<CtcGrammarSearch>, "log_probs"_a.noconvert(),
           "The next (T, V) float32 log probabilities, any T.")
      .def("best", &CtcGrammarSearch::best, "The likeliest sentences, best first; never empty.")
      .def("partial", &CtcGrammarSearch::partial, "The likeliest path, whole sentence or not.")
      .def_prop_ro("free_score", &CtcGrammarSearch::free_score);
}

using Candidates = std::vector<std::pair<std::vector<int>, double>>;

void bind_attention(nb::module_& m) {
  m.def(
      "attention_rescoring",
      [](nb::callable decoder, const Candidates& candidates, int sos_id, int eos_id, double ctc_weight) {
        FunctionDecoder function(std::move(decoder));
        std::vector<CtcCandidate> listed;
        for (const auto& [tokens, score] : candidates) listed.push_back({tokens, score});
        return attention_rescoring(function, listed, {sos_id, eos_id, ctc_weight});
      },
      "decoder"_a, "candidates"_a, "sos_id"_a, "eos_id"_a, "ctc_weight"_a = 0.5,
      "Judge (tokens, ctc_score) candidates by a decoder, best first: a function of (N, L) int64 tokens that "
      "returns (N, L, V) float32 log probabilities of the next token.");
  m.def(
      "attention_search",
      [](nb::callable decoder, int sos_id, int eos_id, size_t max_tokens, int beam) {
        FunctionDecoder function(std::move(decoder));
        return attention_search(function, {sos_id, eos_id, beam, max_tokens});
      },
      "decoder"_a, "sos_id"_a, "eos_id"_a, "max_tokens"_a, "beam"_a = 10,
      "Beam search with a decoder (as of attention_rescoring) alone: finished hypotheses, best first.");
}

}  // namespace

void bind_decode(nb::module_& m) {
  nb::module_ decode = m.def_submodule("decode", "Searches over log probabilities of tokens.");
  bind_results(decode);
  bind_ctc(decode);
  bind_grammar(decode);
  bind_attention(decode);
  bind_transducer(decode);
}
}  // namespace halfbyte::python
