// Transducer: a streaming encoder, a predictor of the last two tokens and a joiner, searched step by step; a
// CTC head beside it says when words were spoken.
// Source: Graves 2012 (arXiv:1211.3711); Ghodsi et al. 2020 (doi:10.1109/ICASSP40776.2020.9054419), whose
// predictor has no state either.
#include "decode/transducer_search.h"
#include "listen/pipeline.h"
#include "listen/speech_segment.h"

namespace halfbyte::pipelines {
namespace {

constexpr const char *kEncoder = "encoder", *kPredictor = "predictor", *kJoiner = "joiner";

class TransducerPipeline : public Pipeline {
 public:
  TransducerPipeline(const Metadata& metadata, const ModelSettings& settings)
      : tokens_(metadata.texts("tokens")) {
    const int num_tokens = static_cast<int>(tokens_.size());
    const Metadata decoding = metadata.object("decoding");
    settings_ = {metadata.integer(0, num_tokens - 1, "blank_id"), num_tokens,
                 decoding.integer(1, 1000, "beam"), decoding.integer(1, 100, "max_symbols")};
    if (settings.modes.empty()) Metadata::refuse("lists no modes");
    for (const std::string& mode : settings.modes)
      if (mode != "beam" && mode != "greedy")
        Metadata::refuse("has the mode '" + mode + "'; expected beam or greedy");
  }

  std::unique_ptr<Segment> start(GraphRunner& graphs, const ModelSettings& settings,
                                 const StreamOptions& options) const override {
    TransducerSettings search = settings_;
    if (options.mode == "greedy") search.beam = 1;
    const EndpointRule& rule = options.endpoint;
    const SpeechParts parts{
        &graphs,
        &settings,
        options,
        kEncoder,
        "encoder_out",
        "ctc_log_probs",
        &tokens_,
        search.blank_id,
        static_cast<std::size_t>(search.beam),
        nullptr,
        {std::make_shared<LongestSegment>(settings, rule), std::make_shared<SilenceRule>(settings, rule)}};
    return std::make_unique<SpeechSegment>(
        std::make_shared<const SpeechParts>(parts),
        std::make_unique<TransducerSearch>(std::make_shared<GraphTransducer>(graphs, kPredictor, kJoiner),
                                           search));
  }

 private:
  std::vector<std::string> tokens_;
  TransducerSettings settings_;
};

std::shared_ptr<const Pipeline> open(const Metadata& metadata, const ModelSettings& settings) {
  return std::make_shared<const TransducerPipeline>(metadata, settings);
}

}  // namespace

extern const PipelineDefinition pipeline_transducer{
    "transducer",
    {{kEncoder, {{"features", DType::kFloat32, 3}}, {"encoder_out", "ctc_log_probs"}},
     {kPredictor, {{"tokens", DType::kInt64, 2}}, {"predicted"}},
     {kJoiner, {{"encoded", DType::kFloat32, 3}, {"predicted", DType::kFloat32, 3}}, {"log_probs"}}},
    open};

}  // namespace halfbyte::pipelines
