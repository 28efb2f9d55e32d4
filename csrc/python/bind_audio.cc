#include <nanobind/stl/filesystem.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>

#include <string>

#include "audio/fbank.h"
#include "audio/resampler.h"
#include "audio/samples.h"
#include "audio/wav.h"
#include "python/arrays.h"
#include "python/bindings.h"
#include "specified_math.h"

namespace halfbyte::python {
namespace {

using namespace nb::literals;

FloatView samples_view(std::vector<float> samples) {
  size_t num_samples = samples.size();
  return float_view(std::move(samples), {num_samples});
}

// copy(), save() and restore() of a class whose copies are streams of their own.
template <typename Stream>
void bind_state(nb::class_<Stream>& stream) {
  stream
      .def(
          "copy", [](const Stream& self) { return Stream(self); }, "A stream of its own, in the same state.")
      .def(
          "save",
          [](const Stream& self) {
            std::string bytes = self.save();
            return nb::bytes(bytes.data(), bytes.size());
          },
          "The state of the stream as bytes, for restore() on a machine of this kind.")
      .def(
          "restore",
          [](Stream& self, nb::bytes state) { self.restore(std::string(state.c_str(), state.size())); },
          "state"_a, "Take up the state that save() of an object of equal options returned.");
}

void bind_wav(nb::module_& m) {
  nb::class_<WavReader>(m, "WavReader", "A WAV file, read in blocks, channels averaged.")
      .def(nb::init<const std::filesystem::path&, std::optional<int>>(), "path"_a, "channel"_a = nb::none(),
           nb::call_guard<nb::gil_scoped_release>())
      .def_prop_ro("sample_rate_hz", &WavReader::sample_rate_hz)
      .def_prop_ro("num_channels", &WavReader::num_channels)
      .def_prop_ro("num_samples", &WavReader::num_samples,
                   "Samples per channel; None for a pipe whose writer did not say.")
      .def_prop_ro("num_missing_samples", &WavReader::num_missing_samples,
                   "At the end: samples per channel that the header promises and the file lacks.")
      .def_prop_ro("name", &WavReader::name, "The path, printable.")
      .def_prop_ro("mix_share", &WavReader::mix_share,
                   "Energy of what was read over the mean energy of its channels; 0 where they cancel.")
      .def("skip", &WavReader::skip, "num_samples"_a, nb::call_guard<nb::gil_scoped_release>(),
           "Leave out the next so many samples.")
      .def(
          "read",
          [](WavReader& self, size_t max_samples) {
            std::vector<float> samples;
            {
              nb::gil_scoped_release no_gil;
              samples = self.read(max_samples);
            }
            return samples_view(std::move(samples));
          },
          "max_samples"_a, "The next (S,) float32 samples, S <= max_samples; empty at the end.");
}

void bind_resampler(nb::module_& m) {
  nb::class_<Resampler> resampler(m, "Resampler", "Streaming change of sample rate.");
  resampler.def(nb::init<int, int>(), "rate_in_hz"_a, "rate_out_hz"_a = 16000)
      .def_static("check_rate", &Resampler::check_rate, "rate_hz"_a,
                  "Raises AudioError for a rate that cannot be resampled.")
      .def_prop_ro("rate_in_hz", &Resampler::rate_in_hz)
      .def_prop_ro("rate_out_hz", &Resampler::rate_out_hz)
      .def(
          "accept",
          [](Resampler& self, FloatVector samples) {
            std::vector<float> out;
            {
              nb::gil_scoped_release no_gil;
              out = self.accept(samples.data(), samples.size());
            }
            return samples_view(std::move(out));
          },
          "samples"_a.noconvert(), "Take in (S,) float32; returns the samples that are settled.")
      .def("num_in_samples_for", &Resampler::num_in_samples_for, "index"_a,
           "Input samples after which output sample `index` is settled.")
      .def(
          "finish", [](Resampler& self) { return samples_view(self.finish()); },
          "No more samples follow; returns the rest.")
      .def("reset", &Resampler::reset, "Back to the start of a new stream.");
  bind_state(resampler);
}

FloatView peek(const Fbank& fbank, size_t num_frames) {
  if (num_frames > fbank.num_frames_ready()) num_frames = fbank.num_frames_ready();
  size_t bins = fbank.num_mel_bins();
  const float* first = fbank.frames();
  return float_view(std::vector<float>(first, first + num_frames * bins), {num_frames, bins});
}

void bind_fbank(nb::module_& m) {
  nb::class_<Fbank> fbank(m, "Fbank", "Streaming log-mel filterbank; see docs/features.md.");
  fbank
      .def(
          "__init__",
          [](Fbank* self, int rate, int bins, int length, int shift, double low, double high,
             const std::string& definition) {
            new (self)
                Fbank(FbankOptions{rate, bins, length, shift, low, high, mel_definition_named(definition)});
          },
          "sample_rate_hz"_a = 16000, "num_mel_bins"_a = 80, "frame_length_ms"_a = 25,
          "frame_shift_ms"_a = 10, "low_hz"_a = 20.0, "high_hz"_a = 0.0, "definition"_a = "kaldi")
      .def(
          "accept",
          [](Fbank& self, FloatVector samples) {
            nb::gil_scoped_release no_gil;
            self.accept(samples.data(), samples.size());
          },
          "samples"_a.noconvert(), "Take in (S,) float32 samples in [-1, 1), any S.")
      .def("finish", &Fbank::finish, "No more samples follow.")
      .def("reset", &Fbank::reset, "Back to the start of a new stream.")
      .def_prop_ro("num_frames_ready", &Fbank::num_frames_ready)
      .def_prop_ro("num_samples_accepted", &Fbank::num_samples_accepted)
      .def_prop_ro("num_mel_bins", &Fbank::num_mel_bins)
      .def_prop_ro("frame_length_samples", &Fbank::frame_length_samples)
      .def_prop_ro("frame_shift_samples", &Fbank::frame_shift_samples)
      .def_prop_ro("is_finished", &Fbank::is_finished)
      .def("peek", &peek, "num_frames"_a,
           "The oldest frames, at most `num_frames`: (T, num_mel_bins) float32.")
      .def("pop", &Fbank::pop, "num_frames"_a, "Drop the oldest frames.");
  bind_state(fbank);
}

void bind_specified_math(nb::module_& m) {
  nb::module_ math = m.def_submodule("specified_math", "For tests; see csrc/specified_math.h.");
  math.def("log", &specified_log);
  math.def("exp", &specified_exp);
  math.def("cos_of_turn", &cos_of_turn);
  math.def("sin_of_turn", &sin_of_turn);
  math.def("log_add", &log_add);
}

}  // namespace

void bind_audio(nb::module_& m) {
  nb::module_ audio = m.def_submodule("audio", "Audio files, resampling and features.");
  bind_wav(audio);
  bind_resampler(audio);
  bind_fbank(audio);
  bind_specified_math(audio);
  audio.def(
      "from_s16",
      [](ByteVector codes) {
        std::vector<float> samples;
        {
          nb::gil_scoped_release no_gil;
          samples = samples_of_s16(codes.data(), codes.size());
        }
        return samples_view(std::move(samples));
      },
      "codes"_a.noconvert(), "16-bit little-endian codes as (S,) float32 samples in [-1, 1).");
}
}  // namespace halfbyte::python
