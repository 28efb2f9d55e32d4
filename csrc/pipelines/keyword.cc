// Keyword spotting: a graph gives each step a logit for every keyword. The score of a step is the logistic
// function of the mean of its last few logits; it is a detection where it reaches the keyword's threshold and
// none within the refractory time before and after it is larger (of equal ones the first counts). So which
// events there are does not depend on the threshold, but for their scores: whoever takes them all can draw
// every curve. A detection comes the refractory time after its step. It has no text and no modes, and its
// stream is one segment.
#include <cmath>

#include "error.h"
#include "listen/pipeline.h"
#include "specified_math.h"
#include "state_bytes.h"

namespace halfbyte::pipelines {
namespace {

constexpr const char* kGraph = "spotter";
constexpr uint32_t kStateTag = 0x3153574b;  // "KWS1"

struct Keywords {
  std::vector<std::string> names;
  std::vector<double> thresholds;
  int smoothing_steps, refractory_steps;
};

double logistic(double x) { return 1 / (1 + specified_exp(-x)); }

// Past values of every keyword, step by step, no more than are needed.
class History {
 public:
  History(std::size_t width, int longest) : width_(width), longest_(static_cast<std::size_t>(longest)) {}

  template <typename T>
  void push(const T* row) {
    values_.insert(values_.end(), row, row + width_);
    if (num_rows() > longest_) values_.erase(values_.begin(), values_.begin() + static_cast<long>(width_));
  }
  std::size_t num_rows() const { return values_.size() / width_; }
  double at(std::size_t row, std::size_t keyword) const { return values_[row * width_ + keyword]; }
  const std::vector<double>& values() const { return values_; }
  bool restore(std::vector<double> values, int64_t num_steps) {
    const auto expected =
        std::min<uint64_t>(longest_, static_cast<uint64_t>(std::max<int64_t>(0, num_steps)));
    values_ = std::move(values);
    return values_.size() == expected * width_;
  }

 private:
  std::size_t width_, longest_;
  std::vector<double> values_;
};

class KeywordSegment : public Segment {
 public:
  KeywordSegment(GraphRunner& graphs, const ModelSettings& settings, const Keywords& keywords,
                 const std::optional<double>& min_score)
      : graphs_(graphs),
        settings_(settings),
        keywords_(keywords),
        min_score_(min_score),
        state_(graphs.initial_state(kGraph)),
        logits_(keywords.names.size(), keywords.smoothing_steps),
        means_(keywords.names.size(), 2 * keywords.refractory_steps + 1) {}

  bool wants_room() const override { return false; }
  int64_t num_steps() const override { return num_steps_; }

  Ending accept(const FloatRows& window, int64_t start_ms, std::vector<Event>* events) override {
    const auto subsampling = static_cast<std::size_t>(settings_.subsampling);
    const std::size_t num_steps = window.num_rows / subsampling;  // the last frames of a stream may make none
    const FloatRows whole{window.data, num_steps * subsampling, window.num_columns};
    graphs_.run(kGraph, {{"features", whole.tensor()}}, state_.get(), &outputs_);
    const GraphOutputValues& found = outputs_.front();
    const std::size_t width = keywords_.names.size();
    if (found.size(2) != width || found.size(1) != num_steps)
      throw Error(ErrorKind::kModelFile,
                  "graph 'spotter' gives logits " + found.shape.to_string() + "; export it again");
    for (std::size_t step = 0; step < num_steps; ++step) {
      take(found.values.data() + step * width);
      const auto reach = static_cast<std::size_t>(keywords_.refractory_steps);
      if (means_.num_rows() > reach) judge(means_.num_rows() - 1 - reach, start_ms, events);
    }
    return {};
  }

  // The last steps are judged by what has been heard.
  std::unique_ptr<Segment> end(EndReason reason, int64_t, int64_t start_ms,
                               std::vector<Event>* events) override {
    const auto reach = static_cast<std::size_t>(keywords_.refractory_steps);
    const std::size_t num_rows = means_.num_rows();
    for (std::size_t row = num_rows - std::min(reach, num_rows); row < num_rows; ++row)
      judge(row, start_ms, events);
    events->push_back(Endpoint{reason, start_ms + num_steps_ * settings_.step_ms()});
    return std::make_unique<KeywordSegment>(graphs_, settings_, keywords_, min_score_);
  }

  std::vector<std::string> save() const override {
    StateWriter writer(kStateTag);
    writer.put(num_steps_);
    writer.put_all(logits_.values());
    writer.put_all(means_.values());
    return {writer.bytes(), graphs_.save_state(*state_)};
  }
  void restore(const std::vector<std::string>& saved) override {
    if (saved.size() != 2) refuse_saved();
    StateReader reader(kStateTag, saved[0]);
    num_steps_ = reader.get<int64_t>();
    const bool has_logits = logits_.restore(reader.get_all<double>(), num_steps_);
    if (num_steps_ < 0 || !has_logits || !means_.restore(reader.get_all<double>(), num_steps_))
      refuse_saved();
    reader.finish();
    state_ = graphs_.restore_state(kGraph, saved[1]);
  }

 private:
  [[noreturn]] static void refuse_saved() {
    throw Error(ErrorKind::kUsage, "the saved state of a stream is damaged: it has other keywords");
  }

  void take(const float* logits) {
    logits_.push(logits);
    std::vector<double> means(keywords_.names.size(), 0.0);
    for (std::size_t keyword = 0; keyword < means.size(); ++keyword) {
      for (std::size_t row = 0; row < logits_.num_rows(); ++row) means[keyword] += logits_.at(row, keyword);
      means[keyword] /= static_cast<double>(logits_.num_rows());
    }
    means_.push(means.data());
    ++num_steps_;
  }

  // Whether a step among those that are kept is a detection, keyword by keyword.
  void judge(std::size_t row, int64_t start_ms, std::vector<Event>* events) const {
    const int64_t back = static_cast<int64_t>(means_.num_rows() - 1 - row);
    const int64_t time_ms = start_ms + (num_steps_ - back) * settings_.step_ms();
    for (std::size_t keyword = 0; keyword < keywords_.names.size(); ++keyword) {
      const double score = logistic(means_.at(row, keyword));
      if (score >= min_score_.value_or(keywords_.thresholds[keyword]) && is_largest(row, keyword))
        events->push_back(Detection{keywords_.names[keyword], time_ms, score});
    }
  }

  bool is_largest(std::size_t row, std::size_t keyword) const {
    const auto reach = static_cast<std::size_t>(keywords_.refractory_steps);
    const double own = means_.at(row, keyword);
    for (std::size_t other = row - std::min(row, reach); other < row; ++other)
      if (means_.at(other, keyword) >= own) return false;
    for (std::size_t other = row + 1; other < std::min(means_.num_rows(), row + reach + 1); ++other)
      if (means_.at(other, keyword) > own) return false;
    return true;
  }

  GraphRunner& graphs_;
  const ModelSettings& settings_;
  const Keywords& keywords_;
  std::optional<double> min_score_;
  std::unique_ptr<RunState> state_;
  std::vector<GraphOutputValues> outputs_{{"logits"}};
  History logits_, means_;
  int64_t num_steps_ = 0;
};

class KeywordPipeline : public Pipeline {
 public:
  KeywordPipeline(const Metadata& metadata, const ModelSettings& settings)
      : keywords_{settings.labels, settings.thresholds, metadata.integer(1, 1000, "smoothing_steps"),
                  metadata.integer(1, 1000, "refractory_steps")} {
    if (keywords_.names.empty()) Metadata::refuse("lists no keywords as 'labels'");
    if (keywords_.thresholds.size() != keywords_.names.size())
      Metadata::refuse("has " + std::to_string(keywords_.thresholds.size()) + " thresholds of " +
                       std::to_string(keywords_.names.size()) + " keywords");
  }

  std::unique_ptr<Segment> start(GraphRunner& graphs, const ModelSettings& settings,
                                 const StreamOptions& options) const override {
    return std::make_unique<KeywordSegment>(graphs, settings, keywords_, options.min_score);
  }

 private:
  Keywords keywords_;
};

std::shared_ptr<const Pipeline> open(const Metadata& metadata, const ModelSettings& settings) {
  return std::make_shared<const KeywordPipeline>(metadata, settings);
}

}  // namespace

extern const PipelineDefinition pipeline_keyword{
    "keyword", {{kGraph, {{"features", DType::kFloat32, 3}}, {"logits"}}}, open};

}  // namespace halfbyte::pipelines
