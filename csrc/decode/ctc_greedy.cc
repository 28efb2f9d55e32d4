#include "decode/ctc_greedy.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "error.h"
#include "kernels/float_environment.h"
#include "state_bytes.h"

namespace halfbyte {
namespace {

constexpr uint32_t kStateTag = 0x31474248;  // "HBG1"
constexpr int64_t kMostFrames = int64_t{1} << 40;

}  // namespace

void CtcGreedy::accept(const LogProbs& log_probs) {
  FloatEnvironment environment;
  check_log_probs(log_probs, blank_id_);
  for (size_t t = 0; t < log_probs.num_frames; ++t, ++num_frames_) {
    const float* frame = log_probs.frame(t);
    int token = static_cast<int>(std::max_element(frame, frame + log_probs.num_tokens) - frame);
    float log_prob = frame[token];
    score_ += log_prob;
    if (token != blank_id_) {
      if (token != last_) {
        tokens_.push_back(token);
        frames_.push_back(num_frames_);
        peak_ = log_prob;
      } else if (log_prob > peak_) {
        frames_.back() = num_frames_;
        peak_ = log_prob;
      }
    }
    last_ = token;
  }
}

std::string CtcGreedy::save() const {
  StateWriter writer(kStateTag);
  writer.put(blank_id_);
  writer.put(last_);
  writer.put(peak_);
  writer.put(num_frames_);
  writer.put(score_);
  writer.put_all(tokens_);
  writer.put_all(frames_);
  return writer.bytes();
}

void CtcGreedy::restore(const std::string& bytes) {
  StateReader reader(kStateTag, bytes);
  if (reader.get<int>() != blank_id_) {
    throw Error(ErrorKind::kInput,
                "saved search state of another blank_id; restore it into a "
                "search of the same one");
  }
  CtcGreedy restored(blank_id_);
  restored.last_ = reader.get<int>();
  restored.peak_ = reader.get<float>();
  restored.num_frames_ = reader.get<int64_t>();
  restored.score_ = reader.get<double>();
  restored.tokens_ = reader.get_all<int>();
  restored.frames_ = reader.get_all<int64_t>();
  reader.finish();
  if (!restored.is_consistent()) throw Error(ErrorKind::kInput, "saved search state is damaged");
  *this = std::move(restored);
}

// Whether frames could have given this: scores that are numbers, a frame a token, in order, and a last token
// that is there.
bool CtcGreedy::is_consistent() const {
  if (!std::isfinite(score_) || !std::isfinite(peak_) || num_frames_ > kMostFrames) return false;
  if (tokens_.size() != frames_.size() || num_frames_ < static_cast<int64_t>(frames_.size())) {
    return false;
  }
  int64_t before = -1;
  for (size_t i = 0; i < tokens_.size(); ++i) {
    if (tokens_[i] < 0 || tokens_[i] == blank_id_) return false;
    if (frames_[i] <= before || frames_[i] >= num_frames_) return false;
    before = frames_[i];
  }
  bool is_in_run = last_ >= 0 && last_ != blank_id_;
  return !is_in_run || (!tokens_.empty() && tokens_.back() == last_);
}

}  // namespace halfbyte
