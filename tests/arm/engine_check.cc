// The engine without Python, for processors that are emulated and for sanitizers.
//
//   engine_check isas                              names that this CPU runs, one a line
//   engine_check kernels ISA                       digests of every kernel's results
//   engine_check transcribe MODEL MODE CHUNK_MS THREADS WAV...
//                                                  per file: digest of all encoder outputs, then the words
//   engine_check events MODEL CHUNK_MS BLOCK_SAMPLES WAV
//                                                  an event a line; a new stream takes up the old one's state
//                                                  after every block
//   engine_check linear ISA BITS ROWS N K REPEATS  one layer, again and again
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "arm/check_kernels.h"
#include "audio/wav.h"
#include "graph/crc32.h"
#include "kernels/kernels.h"
#include "listen/engine_model.h"
#include "listen/stream.h"

namespace halfbyte {
namespace {

// An acoustic model that keeps a digest of every bit that it computes.
class NotingModel : public AcousticModel {
 public:
  explicit NotingModel(std::shared_ptr<AcousticModel> model) : model_(std::move(model)) {}

  std::shared_ptr<const ModelSettings> settings() const override { return model_->settings(); }
  std::unique_ptr<RunState> initial_state(const std::string& graph) override {
    return model_->initial_state(graph);
  }
  void run(const std::string& graph, const std::vector<NamedInput>& inputs, RunState* state,
           std::vector<GraphOutputValues>* outputs) override {
    model_->run(graph, inputs, state, outputs);
    if (state == nullptr) return;  // only what follows the audio
    for (const GraphOutputValues& output : *outputs) note(output.values);
  }
  std::string save_state(const RunState& state) override { return model_->save_state(state); }
  std::unique_ptr<RunState> restore_state(const std::string& graph, const std::string& saved) override {
    return model_->restore_state(graph, saved);
  }
  unsigned digest() const { return digest_; }

 private:
  void note(const std::vector<float>& values) {
    const auto* bytes = reinterpret_cast<const uint8_t*>(values.data());
    digest_ = digest_ * 31 + crc32(bytes, values.size() * sizeof(float));
  }

  std::shared_ptr<AcousticModel> model_;
  unsigned digest_ = 0;
};

std::string described(const std::vector<Event>& events) {
  std::string text;
  for (const Event& event : events)
    if (const auto* said = std::get_if<Text>(&event))
      for (const Word& word : said->words)
        text += " " + word.text + "@" + std::to_string(word.start_ms) + "-" + std::to_string(word.end_ms);
  return text;
}

std::string transcribe(const std::shared_ptr<AcousticModel>& model, const std::string& mode, int chunk_ms,
                       const std::string& path) {
  WavReader wav(path);
  const auto noting = std::make_shared<NotingModel>(model);
  Stream stream(noting, {chunk_ms, mode, {}, wav.sample_rate_hz()});
  std::string text;
  for (std::vector<float> block = wav.read(4001); !block.empty(); block = wav.read(4001))
    text += described(stream.accept(block.data(), block.size()));
  text += described(stream.finish());
  char digest[16];
  std::snprintf(digest, sizeof digest, "%08x", noting->digest());
  return digest + text;
}

// An event as a line.
struct Line {
  std::string operator()(const Text& event) const {
    return std::string(event.is_final ? "final " : "partial ") + std::to_string(event.end_ms) + " " +
           event.text;
  }
  std::string operator()(const Detection& event) const {
    return "detection " + std::to_string(event.time_ms) + " " + event.label;
  }
  std::string operator()(const SpeakerActivity& event) const {
    return std::string(event.is_active ? "speaks " : "stops ") + std::to_string(event.time_ms) + " " +
           event.speaker;
  }
  std::string operator()(const Endpoint& event) const {
    return "endpoint " + std::to_string(event.time_ms) + " " + name_of(event.reason);
  }
};

void print_events(const std::string& model_path, int chunk_ms, std::size_t block_samples,
                  const std::string& path) {
  const auto model = std::make_shared<EngineModel>(Model::open(model_path));
  WavReader wav(path);
  StreamOptions options;
  options.chunk_ms = chunk_ms;
  options.sample_rate_hz = wav.sample_rate_hz();
  auto stream = std::make_unique<Stream>(model, options);
  const auto print = [](const std::vector<Event>& events) {
    for (const Event& event : events) std::printf("%s\n", std::visit(Line{}, event).c_str());
  };
  for (auto block = wav.read(block_samples); !block.empty(); block = wav.read(block_samples)) {
    print(stream->accept(block.data(), block.size()));
    auto next = std::make_unique<Stream>(model, options);
    next->restore(stream->save());
    stream = std::move(next);
  }
  print(stream->finish());
}

// Streams of one model on several threads at once, each a share of the files.
void transcribe_all(const std::string& model_path, const std::string& mode, int chunk_ms,
                    std::size_t num_threads, const std::vector<std::string>& paths) {
  const auto model = std::make_shared<EngineModel>(Model::open(model_path));
  std::vector<std::string> texts(paths.size());
  std::vector<std::thread> threads;
  for (std::size_t first = 0; first < num_threads; ++first)
    threads.emplace_back([&, first] {
      for (std::size_t i = first; i < paths.size(); i += num_threads)
        texts[i] = transcribe(model, mode, chunk_ms, paths[i]);
    });
  for (std::thread& thread : threads) thread.join();
  for (const std::string& text : texts) std::printf("%s\n", text.c_str());
}

int run(const std::vector<std::string>& words) {
  const std::string verb = words.empty() ? "" : words[0];
  if (verb == "isas") {
    for (const std::string& isa : available_isas()) std::printf("%s\n", isa.c_str());
  } else if (verb == "kernels" && words.size() == 2) {
    check_kernels(words[1]);
  } else if (verb == "transcribe" && words.size() > 5) {
    transcribe_all(words[1], words[2], std::stoi(words[3]), static_cast<std::size_t>(std::stoi(words[4])),
                   {words.begin() + 5, words.end()});
  } else if (verb == "events" && words.size() == 5) {
    print_events(words[1], std::stoi(words[2]), static_cast<std::size_t>(std::stoi(words[3])), words[4]);
  } else if (verb == "linear" && words.size() == 7) {
    repeat_linear(words[1], std::stoi(words[2]), std::stoi(words[3]), std::stoi(words[4]),
                  std::stoi(words[5]), std::stoi(words[6]));
  } else {
    std::fprintf(stderr, "usage: engine_check isas|kernels|transcribe|events|linear ...\n");
    return 2;
  }
  return 0;
}

}  // namespace
}  // namespace halfbyte

int main(int argc, char** argv) {
  try {
    return halfbyte::run({argv + 1, argv + argc});
  } catch (const std::exception& error) {
    std::fprintf(stderr, "engine_check: %s\n", error.what());
    return 2;
  }
}
