// A family that is no recogniser: a graph gives each step a score for every label. A score that rises to the
// threshold is a detection; of a speaker, rising and falling are activity. It has no text, no endpoints and
// no modes.
#include <cstring>

#include "error.h"
#include "listen/pipeline.h"

namespace halfbyte::pipelines {
namespace {

constexpr const char* kGraph = "detector";

struct Labels {
  std::vector<std::string> names, speakers;  // all of them; those that are speakers
  float threshold;

  bool is_speaker(const std::string& name) const {
    return std::find(speakers.begin(), speakers.end(), name) != speakers.end();
  }
};

class FrameSegment : public Segment {
 public:
  FrameSegment(GraphRunner& graphs, const ModelSettings& settings, const Labels& labels)
      : graphs_(graphs),
        settings_(settings),
        labels_(labels),
        state_(graphs.initial_state(kGraph)),
        is_above_(labels.names.size(), '0') {}

  bool wants_room() const override { return false; }
  int64_t num_steps() const override { return num_steps_; }

  Ending accept(const FloatRows& window, int64_t start_ms, std::vector<Event>* events) override {
    graphs_.run(kGraph, {{"features", window.tensor()}}, state_.get(), &scores_);
    const GraphOutputValues& scores = scores_.front();
    if (scores.size(2) != labels_.names.size())
      throw Error(ErrorKind::kModelFile, "the detector gives " + scores.shape.to_string() + " scores");
    for (std::size_t step = 0; step < scores.size(1); ++step, ++num_steps_)
      for (std::size_t label = 0; label < labels_.names.size(); ++label)
        judge(label, scores.values[step * labels_.names.size() + label], start_ms, events);
    return {};
  }

  std::unique_ptr<Segment> end(EndReason reason, int64_t, int64_t start_ms,
                               std::vector<Event>* events) override {
    events->push_back(Endpoint{reason, start_ms + num_steps_ * settings_.step_ms()});
    return std::make_unique<FrameSegment>(graphs_, settings_, labels_);
  }

  std::vector<std::string> save() const override {
    return {std::to_string(num_steps_), is_above_, graphs_.save_state(*state_)};
  }
  void restore(const std::vector<std::string>& saved) override {
    const bool fits = saved.size() == 3 && saved[1].size() == is_above_.size() && !saved[0].empty() &&
                      saved[0].size() < 18 && saved[0].find_first_not_of("0123456789") == std::string::npos;
    if (!fits) throw Error(ErrorKind::kUsage, "the saved state of a stream is damaged: it has other labels");
    num_steps_ = std::stoll(saved[0]);
    is_above_ = saved[1];
    state_ = graphs_.restore_state(kGraph, saved[2]);
  }

 private:
  void judge(std::size_t label, float score, int64_t start_ms, std::vector<Event>* events) {
    const char now = score >= labels_.threshold ? '1' : '0';
    if (now == is_above_[label]) return;
    is_above_[label] = now;
    const std::string& name = labels_.names[label];
    const int64_t time_ms = start_ms + num_steps_ * settings_.step_ms();
    if (labels_.is_speaker(name))
      events->push_back(SpeakerActivity{name, now == '1', time_ms, score});
    else if (now == '1')
      events->push_back(Detection{name, time_ms, score});
  }

  GraphRunner& graphs_;
  const ModelSettings& settings_;
  const Labels& labels_;
  std::unique_ptr<RunState> state_;
  std::vector<GraphOutputValues> scores_{{"scores"}};
  std::string is_above_;  // of each label, '1' where the last score was
  int64_t num_steps_ = 0;
};

class FrameDetector : public Pipeline {
 public:
  explicit FrameDetector(const Metadata& metadata)
      : labels_{metadata.texts("labels"), metadata.texts("speakers"),
                static_cast<float>(metadata.number(-1e9, 1e9, "threshold"))} {}

  std::unique_ptr<Segment> start(GraphRunner& graphs, const ModelSettings& settings,
                                 const StreamOptions&) const override {
    return std::make_unique<FrameSegment>(graphs, settings, labels_);
  }

 private:
  Labels labels_;
};

std::shared_ptr<const Pipeline> open(const Metadata& metadata, const ModelSettings&) {
  return std::make_shared<const FrameDetector>(metadata);
}

}  // namespace

extern const PipelineDefinition pipeline_frame_detector{
    "toy.frame_detector", {{kGraph, {{"features", DType::kFloat32, 3}}, {"scores"}}}, open};

}  // namespace halfbyte::pipelines
