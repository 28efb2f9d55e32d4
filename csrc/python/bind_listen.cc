// `halfbyte._core.listen`: streams; `halfbyte.listen` is its face.
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/unique_ptr.h>
#include <nanobind/stl/variant.h>
#include <nanobind/stl/vector.h>

#include <cstring>
#include <exception>
#include <optional>
#include <tuple>
#include <utility>
#include <vector>

#include "audio/samples.h"
#include "error.h"
#include "listen/engine_model.h"
#include "listen/one_thread.h"
#include "listen/pipeline.h"
#include "listen/stream.h"
#include "python/arrays.h"
#include "python/bindings.h"
#include "python/given_samples.h"
#include "python/python_model.h"
#include "python/tensors.h"
#include "python/timed_model.h"

namespace halfbyte::python {
namespace {

using namespace nb::literals;

// A stream that one thread uses at a time.
class BoundStream {
 public:
  BoundStream(std::shared_ptr<AcousticModel> model, const StreamOptions& options)
      : model_(std::make_shared<TimedModel>(std::move(model))), stream_(model_, options) {}

  // Runs `call(stream)`; throws kUsage where another thread is doing so.
  template <class Call>
  auto locked(Call call) {
    return thread_.run([&] { return call(stream_); });
  }
  // The same without the GIL.
  template <class Call>
  auto run(Call call) {
    nb::gil_scoped_release no_gil;
    return locked(call);
  }

  double encoder_seconds() const { return model_->encoder_seconds(); }
  // What no call changes.
  const StreamOptions& options() const { return stream_.options(); }
  int chunk_steps() const { return stream_.chunk_steps(); }

 private:
  std::shared_ptr<TimedModel> model_;
  Stream stream_;
  OneThread thread_;
};

// Audio of a server's stream.
struct Work {
  BoundStream* stream;
  const uint8_t* audio;
  std::size_t num_bytes;
  bool is_s16, is_last;
};

// What came of it.
struct Found {
  std::vector<Event> events;
  int64_t samples_due = 0;
  double features_s = 0, encoder_s = 0, search_s = 0;  // processor time
  std::exception_ptr error;
};

std::vector<float> samples_of(const Work& work) {
  if (work.is_s16) return samples_of_s16(work.audio, work.num_bytes);
  std::vector<float> samples(work.num_bytes / sizeof(float));
  if (!samples.empty()) std::memcpy(samples.data(), work.audio, samples.size() * sizeof(float));
  return samples;
}

void take_step(const Work& work, Stream& stream, Found* found) {
  const double start_s = thread_seconds(), encoder_before_s = work.stream->encoder_seconds();
  const std::vector<float> samples = samples_of(work);
  stream.take(samples.data(), samples.size());
  found->features_s = thread_seconds() - start_s;
  found->events = stream.run();
  if (work.is_last)
    for (Event& event : stream.finish()) found->events.push_back(std::move(event));
  found->samples_due = stream.samples_due();
  found->encoder_s = work.stream->encoder_seconds() - encoder_before_s;
  found->search_s = thread_seconds() - start_s - found->features_s - found->encoder_s;
}

Found found_by(const Work& work) {
  Found found;
  try {
    work.stream->locked([&](Stream& stream) { take_step(work, stream, &found); });
  } catch (...) {
    found.error = std::current_exception();
  }
  return found;
}

using GivenWork = std::tuple<BoundStream*, nb::bytes, bool, bool>;

// Steps of several streams, the GIL released once.
std::vector<Found> run_steps(const std::vector<GivenWork>& given) {
  std::vector<Work> works;
  for (const auto& [stream, audio, is_s16, is_last] : given)
    works.push_back({stream, reinterpret_cast<const uint8_t*>(audio.c_str()), audio.size(), is_s16, is_last});
  std::vector<Found> all;
  nb::gil_scoped_release no_gil;
  for (const Work& work : works) all.push_back(found_by(work));
  return all;
}

void bind_events(nb::module_& m) {
  nb::class_<Word>(m, "Word")
      .def_ro("text", &Word::text)
      .def_ro("start_ms", &Word::start_ms)
      .def_ro("end_ms", &Word::end_ms)
      .def_ro("confidence", &Word::confidence);
  nb::class_<ScoredText>(m, "ScoredText")
      .def_ro("text", &ScoredText::text)
      .def_ro("score", &ScoredText::score);
  nb::class_<Slot>(m, "Slot").def_ro("name", &Slot::name).def_ro("text", &Slot::text);
  nb::class_<Text>(m, "Text")
      .def_ro("text", &Text::text)
      .def_ro("is_final", &Text::is_final)
      .def_ro("start_ms", &Text::start_ms)
      .def_ro("end_ms", &Text::end_ms)
      .def_ro("words", &Text::words)
      .def_ro("hypotheses", &Text::hypotheses)
      .def_ro("slots", &Text::slots);
  nb::class_<Detection>(m, "Detection")
      .def_ro("label", &Detection::label)
      .def_ro("time_ms", &Detection::time_ms)
      .def_ro("score", &Detection::score);
  nb::class_<SpeakerActivity>(m, "SpeakerActivity")
      .def_ro("speaker", &SpeakerActivity::speaker)
      .def_ro("is_active", &SpeakerActivity::is_active)
      .def_ro("time_ms", &SpeakerActivity::time_ms)
      .def_ro("score", &SpeakerActivity::score);
  nb::class_<Endpoint>(m, "Endpoint")
      .def_prop_ro("reason", [](const Endpoint& event) { return name_of(event.reason); })
      .def_ro("time_ms", &Endpoint::time_ms);
}

nb::bytes bytes_of(const std::string& text) { return nb::bytes(text.data(), text.size()); }
std::string string_of(const nb::bytes& bytes) { return std::string(bytes.c_str(), bytes.size()); }

nb::list run_graph(EngineModel& model, const std::string& graph, const nb::dict& given,
                   const std::vector<std::string>& wanted, RunState* state) {
  std::vector<NamedInput> inputs;
  for (const auto& [name, value] : given) inputs.push_back({nb::cast<const char*>(name), tensor_of(value)});
  std::vector<GraphOutputValues> outputs;
  for (const std::string& name : wanted) outputs.push_back({name.c_str()});
  {
    nb::gil_scoped_release no_gil;
    model.run(graph, inputs, state, &outputs);
  }
  nb::list found;
  for (GraphOutputValues& output : outputs)
    found.append(float_view(std::move(output.values), {output.size(0), output.size(1), output.size(2)}));
  return found;
}

// A setting of the features.
template <auto Member>
auto feature_reader() {
  return [](const ModelSettings& settings) { return settings.features.*Member; };
}

void bind_settings(nb::module_& m) {
  nb::class_<ModelSettings>(m, "ModelSettings", "See halfbyte.listen.settings.")
      .def_prop_ro("sample_rate_hz", feature_reader<&FbankOptions::sample_rate_hz>())
      .def_prop_ro("num_mel_bins", feature_reader<&FbankOptions::num_mel_bins>())
      .def_prop_ro("frame_length_ms", feature_reader<&FbankOptions::frame_length_ms>())
      .def_prop_ro("frame_shift_ms", feature_reader<&FbankOptions::frame_shift_ms>())
      .def_prop_ro("low_hz", feature_reader<&FbankOptions::low_hz>())
      .def_prop_ro("high_hz", feature_reader<&FbankOptions::high_hz>())
      .def_ro("subsampling", &ModelSettings::subsampling)
      .def_ro("overlap_frames", &ModelSettings::overlap_frames)
      .def_ro("chunk_steps", &ModelSettings::chunk_steps)
      .def_ro("chunk_choices_steps", &ModelSettings::chunk_choices_steps)
      .def_ro("left_context_steps", &ModelSettings::left_context_steps)
      .def_ro("max_segment_ms", &ModelSettings::max_segment_ms)
      .def_ro("family", &ModelSettings::family)
      .def_ro("labels", &ModelSettings::labels)
      .def_ro("thresholds", &ModelSettings::thresholds)
      .def_ro("modes", &ModelSettings::modes)
      .def_prop_ro("default_mode", &ModelSettings::default_mode)
      .def_prop_ro("step_ms", &ModelSettings::step_ms)
      .def_prop_ro("lookahead_ms", &ModelSettings::lookahead_ms);
  m.def("read_settings", &read_settings, "metadata_json"_a);
  m.def(
      "families",
      [] {
        std::vector<std::string> names;
        for (const PipelineDefinition* pipeline : all_pipelines()) names.push_back(pipeline->family);
        return names;
      },
      "Families of models whose pipelines this build has.");
}

void bind_models(nb::module_& m) {
  nb::class_<RunState>(m, "RunState", "The memory of a graph of a stream between two runs.");
  nb::class_<AcousticModel>(m, "AcousticModel");
  nb::class_<EngineModel, AcousticModel>(m, "EngineModel", "The model in a .hb file.")
      .def(nb::init<std::shared_ptr<const Model>>(), "model"_a)
      .def_prop_ro("settings", [](const EngineModel& self) { return *self.settings(); })
      .def("initial_state", &EngineModel::initial_state, "graph"_a, "State of a graph before its first run.")
      .def("run", &run_graph, "graph"_a, "inputs"_a, "outputs"_a, "state"_a.none(),
           "Run a graph with named buffers; the outputs, float32 of three axes.")
      .def(
          "save_state",
          [](EngineModel& self, const RunState& state) { return bytes_of(self.save_state(state)); },
          "state"_a)
      .def(
          "restore_state",
          [](EngineModel& self, const std::string& graph, nb::bytes saved) {
            return self.restore_state(graph, string_of(saved));
          },
          "graph"_a, "saved"_a);
  nb::class_<PythonModel, AcousticModel>(m, "PythonModel",
                                         "A Python object that keeps the protocol AcousticModel.")
      .def(nb::init<nb::object>(), "model"_a);
}

void make_options(StreamOptions* self, std::optional<int64_t> chunk_ms, const std::string& mode,
                  std::optional<int64_t> trailing_silence_ms, std::optional<int64_t> max_segment_ms,
                  int64_t sample_rate_hz, int64_t num_best, std::optional<double> min_score,
                  const std::optional<std::pair<std::string, std::string>>& grammar) {
  new (self) StreamOptions{chunk_ms,       mode,     {trailing_silence_ms, max_segment_ms},
                           sample_rate_hz, num_best, min_score};
  if (grammar) self->grammar = GrammarSource{grammar->first, grammar->second};
}

std::vector<Event> accept(BoundStream& self, const GivenSamples& given) {
  const std::vector<float> samples = floats_of(given);
  return self.run([&](Stream& stream) { return stream.accept(samples.data(), samples.size()); });
}

nb::tuple save(BoundStream& self) {
  const StreamSnapshot saved = self.run([](Stream& stream) { return stream.save(); });
  nb::list parts;
  for (const std::string& part : saved.parts) parts.append(bytes_of(part));
  return nb::make_tuple(saved.frames_done, saved.num_kept_frames, saved.is_finished, parts);
}

void restore(BoundStream& self, int64_t frames_done, int64_t num_kept_frames, bool is_finished,
             const std::vector<nb::bytes>& parts) {
  StreamSnapshot saved{frames_done, num_kept_frames, is_finished, {}};
  for (const nb::bytes& part : parts) saved.parts.push_back(string_of(part));
  self.run([&](Stream& stream) { stream.restore(saved); });
}

void bind_stream(nb::module_& m) {
  nb::class_<StreamOptions>(m, "StreamOptions", "See halfbyte.listen.options.")
      .def("__init__", &make_options, "chunk_ms"_a.none(), "mode"_a, "trailing_silence_ms"_a.none(),
           "max_segment_ms"_a.none(), "sample_rate_hz"_a, "num_best"_a, "min_score"_a.none(),
           "grammar"_a.none() = nb::none())
      .def_ro("mode", &StreamOptions::mode)
      .def_ro("sample_rate_hz", &StreamOptions::sample_rate_hz)
      .def_prop_ro("is_full_context", &StreamOptions::is_full_context);
  nb::class_<BoundStream>(m, "Stream", "See halfbyte.listen.stream.")
      .def(nb::init<std::shared_ptr<AcousticModel>, const StreamOptions&>(), "model"_a, "options"_a)
      .def("accept", &accept, "samples"_a.noconvert(), "Take in samples (given_samples.h); what they change.")
      .def(
          "finish",
          [](BoundStream& self) { return self.run([](Stream& stream) { return stream.finish(); }); },
          "No more samples follow; the last events.")
      .def(
          "set_grammar",
          [](BoundStream& self, const std::optional<std::pair<std::string, std::string>>& grammar) {
            std::optional<GrammarSource> source;
            if (grammar) source = GrammarSource{grammar->first, grammar->second};
            self.run([&](Stream& stream) { stream.set_grammar(source); });
          },
          "grammar"_a.none(), "What may be said from the next segment on: a name and a text, or None.")
      .def("save", &save, "Feature frames done, frames kept, whether it is finished, and parts as bytes.")
      .def("restore", &restore, "frames_done"_a, "num_kept_frames"_a, "is_finished"_a, "parts"_a)
      .def_prop_ro(
          "samples_due",
          [](BoundStream& self) { return self.locked([](Stream& stream) { return stream.samples_due(); }); },
          "Samples, from the first of the stream, with which its next chunk is complete.")
      .def_prop_ro("chunk_steps", &BoundStream::chunk_steps)
      .def_prop_ro("options", &BoundStream::options, "As they were given, with the model's own choices.");
}

void bind_steps(nb::module_& m) {
  nb::class_<Found>(m, "Found", "What a step of a stream has found.")
      .def_ro("events", &Found::events)
      .def_ro("samples_due", &Found::samples_due)
      .def_ro("features_s", &Found::features_s)
      .def_ro("encoder_s", &Found::encoder_s)
      .def_ro("search_s", &Found::search_s)
      .def(
          "raise_error",
          [](const Found& self) {
            if (self.error) std::rethrow_exception(self.error);
          },
          "Raise what went wrong; nothing otherwise.");
  m.def("run_steps", &run_steps, "works"_a,
        "Steps of streams, all different: (stream, audio, whether it is s16le and not f32le, "
        "whether it is the last) each; what each has found. The GIL is released once.");
}

}  // namespace

void bind_listen(nb::module_& parent) {
  nb::module_ m = parent.def_submodule("listen", "Streams of speech recognition.");
  bind_events(m);
  bind_settings(m);
  bind_models(m);
  bind_stream(m);
  bind_steps(m);
}

}  // namespace halfbyte::python
