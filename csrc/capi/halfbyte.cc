// include/halfbyte.h over the C++ core: handles are objects, exceptions become a status and a message.
#include "halfbyte.h"

#include <algorithm>
#include <deque>
#include <iterator>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "audio/wav.h"
#include "error.h"
#include "graph/model.h"
#include "listen/engine_model.h"
#include "listen/one_thread.h"
#include "listen/stream.h"

using halfbyte::ErrorKind;

struct halfbyte_model {
  std::shared_ptr<halfbyte::EngineModel> model;
};

struct halfbyte_stream {
  explicit halfbyte_stream(halfbyte::Stream begun) : stream(std::move(begun)) {}

  halfbyte::OneThread thread;
  halfbyte::Stream stream;
  std::deque<halfbyte::Event> waiting;
  halfbyte::Event taken;             // what the last event points into
  std::vector<halfbyte_word> words;  // of it
  std::vector<halfbyte_hypothesis> hypotheses;
  std::vector<halfbyte_slot> slots;

  void add(std::vector<halfbyte::Event> events) {
    std::move(events.begin(), events.end(), std::back_inserter(waiting));
  }
};

struct halfbyte_wav {
  halfbyte::WavReader reader;
};

namespace {

thread_local std::string last_error;

halfbyte_status status_of(ErrorKind kind) {
  switch (kind) {
    case ErrorKind::kAudio:
      return HALFBYTE_ERROR_AUDIO;
    case ErrorKind::kModelFile:
      return HALFBYTE_ERROR_MODEL_FILE;
    case ErrorKind::kInput:
      return HALFBYTE_ERROR_INPUT;
    case ErrorKind::kUsage:
      return HALFBYTE_ERROR_USAGE;
  }
  return HALFBYTE_ERROR_INTERNAL;
}

halfbyte_status failed(halfbyte_status status, const char* message) noexcept {
  try {
    last_error = message;
  } catch (...) {
    last_error.clear();  // no memory for the message; the status still says what happened
  }
  return status;
}

// Runs `call`; whatever it throws becomes a status.
template <class Call>
halfbyte_status guarded(Call call) noexcept {
  try {
    call();
    return HALFBYTE_OK;
  } catch (const halfbyte::Error& error) {
    return failed(status_of(error.kind()), error.what());
  } catch (const std::bad_alloc&) {
    return failed(HALFBYTE_ERROR_MEMORY, "no memory left; use a smaller model or fewer streams");
  } catch (const std::exception& error) {
    return failed(HALFBYTE_ERROR_INTERNAL, error.what());
  } catch (...) {
    return failed(HALFBYTE_ERROR_INTERNAL, "an exception of unknown type; please report it");
  }
}

template <class Pointer>
void require(Pointer pointer, const char* name) {
  if (pointer == nullptr)
    throw halfbyte::Error(ErrorKind::kUsage, std::string(name) + " is null; expected a pointer");
}

halfbyte::StreamOptions options_of(const halfbyte_options& options) {
  halfbyte::StreamOptions own;
  if (options.chunk_ms != HALFBYTE_CHUNK_OF_MODEL) own.chunk_ms = options.chunk_ms;
  if (options.mode != nullptr) own.mode = options.mode;
  own.endpoint = {options.trailing_silence_ms, options.max_segment_ms};
  if (options.trailing_silence_ms == HALFBYTE_NEVER) own.endpoint.trailing_silence_ms.reset();
  if (options.max_segment_ms == HALFBYTE_NEVER) own.endpoint.max_segment_ms.reset();
  own.sample_rate_hz = options.sample_rate_hz;
  own.num_best = options.num_best;
  if (options.min_score != HALFBYTE_THRESHOLDS_OF_MODEL) own.min_score = options.min_score;
  return own;
}

// Fills an event for C from what the stream keeps of it.
struct EventFiller {
  halfbyte_stream& stream;
  halfbyte_event& event;

  void operator()(const halfbyte::Text& text) const {
    for (const halfbyte::Word& word : text.words)
      stream.words.push_back({word.text.c_str(), word.start_ms, word.end_ms, word.confidence});
    for (const halfbyte::ScoredText& one : text.hypotheses)
      stream.hypotheses.push_back({one.text.c_str(), one.score});
    for (const halfbyte::Slot& slot : text.slots)
      stream.slots.push_back({slot.name.c_str(), slot.text.c_str()});
    event.text = text.text.c_str();
    event.is_final = text.is_final ? 1 : 0;
    event.start_ms = text.start_ms;
    event.end_ms = text.end_ms;
  }
  void operator()(const halfbyte::Detection& detection) const {
    label(HALFBYTE_DETECTION, detection.label.c_str(), detection.time_ms, detection.score);
  }
  void operator()(const halfbyte::SpeakerActivity& activity) const {
    label(HALFBYTE_SPEAKER, activity.speaker.c_str(), activity.time_ms, activity.score);
    event.is_active = activity.is_active ? 1 : 0;
  }
  void operator()(const halfbyte::Endpoint& endpoint) const {
    label(HALFBYTE_ENDPOINT, halfbyte::name_of(endpoint.reason), endpoint.time_ms, 0);
  }
  void label(halfbyte_event_type type, const char* name, int64_t time_ms, double score) const {
    event.type = type;
    event.label = name;
    event.start_ms = event.end_ms = time_ms;
    event.score = score;
  }
};

// Moves the oldest event out of the queue and points `event` into it; whether there was one.
bool take_event(halfbyte_stream& stream, halfbyte_event* event) {
  if (stream.waiting.empty()) return false;
  halfbyte_event next{};
  next.text = next.label = "";
  stream.words.clear();
  stream.hypotheses.clear();
  stream.slots.clear();
  stream.taken = std::move(stream.waiting.front());
  stream.waiting.pop_front();
  std::visit(EventFiller{stream, next}, stream.taken);
  next.words = stream.words.data();
  next.num_words = stream.words.size();
  next.hypotheses = stream.hypotheses.data();
  next.num_hypotheses = stream.hypotheses.size();
  next.slots = stream.slots.data();
  next.num_slots = stream.slots.size();
  *event = next;
  return true;
}

}  // namespace

const char* halfbyte_last_error(void) { return last_error.c_str(); }

halfbyte_status halfbyte_model_open(const char* path, halfbyte_model** model) {
  return guarded([&] {
    require(path, "path");
    require(model, "model");
    *model = new halfbyte_model{std::make_shared<halfbyte::EngineModel>(halfbyte::Model::open(path))};
  });
}

void halfbyte_model_close(halfbyte_model* model) { delete model; }

int halfbyte_model_sample_rate_hz(const halfbyte_model* model) {
  return model == nullptr ? 0 : model->model->settings()->features.sample_rate_hz;
}

const char* halfbyte_model_mode(const halfbyte_model* model, size_t number) {
  if (model == nullptr || number >= model->model->settings()->modes.size()) return nullptr;
  return model->model->settings()->modes[number].c_str();
}

halfbyte_options halfbyte_default_options(void) {
  return {HALFBYTE_CHUNK_OF_MODEL, nullptr, 800, HALFBYTE_NEVER, 16000, 1, HALFBYTE_THRESHOLDS_OF_MODEL};
}

halfbyte_status halfbyte_stream_open(halfbyte_model* model, const halfbyte_options* options,
                                     halfbyte_stream** stream) {
  return guarded([&] {
    require(model, "model");
    require(stream, "stream");
    const auto own = options_of(options == nullptr ? halfbyte_default_options() : *options);
    *stream = new halfbyte_stream(halfbyte::Stream(model->model, own));
  });
}

void halfbyte_stream_close(halfbyte_stream* stream) { delete stream; }

halfbyte_status halfbyte_stream_set_grammar(halfbyte_stream* stream, const char* name, const char* text) {
  return guarded([&] {
    require(stream, "stream");
    if (text != nullptr) require(name, "name");
    std::optional<halfbyte::GrammarSource> grammar;
    if (text != nullptr) grammar = halfbyte::GrammarSource{name, text};
    stream->thread.run([&] { stream->stream.set_grammar(grammar); });
  });
}

halfbyte_status halfbyte_stream_accept(halfbyte_stream* stream, const float* samples, size_t num_samples) {
  return guarded([&] {
    require(stream, "stream");
    if (num_samples > 0) require(samples, "samples");
    stream->thread.run([&] { stream->add(stream->stream.accept(samples, num_samples)); });
  });
}

halfbyte_status halfbyte_stream_finish(halfbyte_stream* stream) {
  return guarded([&] {
    require(stream, "stream");
    stream->thread.run([&] { stream->add(stream->stream.finish()); });
  });
}

int halfbyte_stream_next_event(halfbyte_stream* stream, halfbyte_event* event) {
  if (stream == nullptr || event == nullptr) return 0;
  bool is_taken = false;
  guarded([&] { is_taken = stream->thread.run([&] { return take_event(*stream, event); }); });
  return is_taken ? 1 : 0;
}

halfbyte_status halfbyte_wav_open(const char* path, halfbyte_wav** wav) {
  return guarded([&] {
    require(path, "path");
    require(wav, "wav");
    *wav = new halfbyte_wav{halfbyte::WavReader(path)};
  });
}

void halfbyte_wav_close(halfbyte_wav* wav) { delete wav; }

int halfbyte_wav_sample_rate_hz(const halfbyte_wav* wav) {
  return wav == nullptr ? 0 : wav->reader.sample_rate_hz();
}

halfbyte_status halfbyte_wav_read(halfbyte_wav* wav, float* samples, size_t max_samples,
                                  size_t* num_samples) {
  return guarded([&] {
    require(wav, "wav");
    require(num_samples, "num_samples");
    if (max_samples > 0) require(samples, "samples");
    const std::vector<float> read = wav->reader.read(max_samples);
    std::copy(read.begin(), read.end(), samples);
    *num_samples = read.size();
  });
}
