// U2: one streaming encoder, a CTC first pass, an attention decoder as second pass.
// Source: Zhang et al. 2020 (arXiv:2012.05481), as in WeNet.
#include "decode/attention_passes.h"
#include "decode/cached_decoder.h"
#include "decode/ctc_first_pass.h"
#include "decode/graph_decoder.h"
#include "listen/speech_segment.h"
#include "listen/pipeline.h"

namespace halfbyte::pipelines {
namespace {

constexpr const char* kModes[] = {"rescoring", "prefix_beam", "greedy", "attention"};

class U2 : public Pipeline {
 public:
  U2(const Metadata& metadata, const ModelSettings& settings) : tokens_(metadata.texts("tokens")) {
    const int last_id = static_cast<int>(tokens_.size()) - 1;
    blank_id_ = metadata.integer(0, last_id, "blank_id");
    boundary_id_ = metadata.integer(0, last_id, "eos_id");
    const Metadata decoding = metadata.object("decoding");
    beam_ = decoding.integer(1, 1000, "beam");
    ctc_weight_ = decoding.number(0, 1000, "ctc_weight");
    is_cached_ = decoding.has("cache");
    if (is_cached_ && decoding.text("cache") != "tokens")
      Metadata::refuse("has the cache '" + decoding.text("cache") + "'; expected tokens");
    if (settings.modes.empty()) Metadata::refuse("lists no modes");
    for (const std::string& mode : settings.modes)
      if (std::find(std::begin(kModes), std::end(kModes), mode) == std::end(kModes))
        Metadata::refuse("has the mode '" + mode + "', which the family 'u2' lacks");
  }

  std::unique_ptr<Segment> start(GraphRunner& graphs, const ModelSettings& settings,
                                 const StreamOptions& options) const override {
    const EndpointRule& rule = options.endpoint;
    const std::shared_ptr<const Grammar> grammar =
        options.grammar ? Grammar::compile(*options.grammar, tokens_) : nullptr;
    const SpeechParts parts{
        &graphs,
        &settings,
        options,
        "encoder",
        "encoder_out",
        "ctc_log_probs",
        &tokens_,
        blank_id_,
        static_cast<std::size_t>(beam_),
        second_pass(graphs, options),
        {std::make_shared<LongestSegment>(settings, rule), std::make_shared<SilenceRule>(settings, rule)},
        grammar};
    return std::make_unique<SpeechSegment>(std::make_shared<const SpeechParts>(parts),
                                           first_pass(options, grammar));
  }

  bool takes_grammar() const override { return true; }

 private:
  std::unique_ptr<FirstPass> first_pass(const StreamOptions& options,
                                        const std::shared_ptr<const Grammar>& grammar) const {
    const auto num_tokens = static_cast<int>(tokens_.size());
    if (grammar) return ctc_grammar_pass(grammar, blank_id_, num_tokens, beam_);
    if (options.mode == "greedy") return ctc_greedy_pass(blank_id_);
    return ctc_prefix_beam_pass(blank_id_, beam_, num_tokens);
  }

  // A free search would leave the grammar: with one, the decoder judges its sentences.
  std::shared_ptr<const SecondPass> second_pass(GraphRunner& graphs, const StreamOptions& options) const {
    const std::string& mode = options.mode;
    if (mode == "rescoring" || (mode == "attention" && options.grammar))
      return std::make_shared<RescoringPass>(graphs, "decoder", boundary_id_, ctc_weight_);
    if (mode == "attention")
      return std::make_shared<AttentionPass>(decoder_of(graphs), boundary_id_, blank_id_, beam_);
    return nullptr;
  }

  std::function<std::unique_ptr<Decoder>(const FloatRows&)> decoder_of(GraphRunner& graphs) const {
    return [&graphs, is_cached = is_cached_](const FloatRows& memory) -> std::unique_ptr<Decoder> {
      if (is_cached) return std::make_unique<CachedDecoder>(graphs, "decoder_begin", "decoder_step", memory);
      return std::make_unique<GraphDecoder>(graphs, "decoder", memory);
    };
  }

  std::vector<std::string> tokens_;
  int blank_id_, boundary_id_;  // starts and ends a sentence
  int beam_;
  bool is_cached_;  // the decoder also goes token by token
  double ctc_weight_;
};

std::shared_ptr<const Pipeline> open(const Metadata& metadata, const ModelSettings& settings) {
  return std::make_shared<const U2>(metadata, settings);
}

}  // namespace

extern const PipelineDefinition pipeline_u2{
    "u2",
    {{"encoder", {{"features", DType::kFloat32, 3}}, {"encoder_out", "ctc_log_probs"}},
     {"decoder", {{"tokens", DType::kInt64, 2}, {"memory", DType::kFloat32, 3}}, {"log_probs"}}},
    open};

}  // namespace halfbyte::pipelines
