#include <nanobind/stl/string.h>

#include "audio/fbank.h"
#include "python/arrays.h"
#include "python/bindings.h"

namespace halfbyte::python {
namespace {

using namespace nb::literals;


FloatView peek(const Fbank& fbank, size_t num_frames) {
  if (num_frames > fbank.num_frames_ready()) num_frames = fbank.num_frames_ready();
  size_t bins = fbank.num_mel_bins();
  const float* first = fbank.frames();
  return float_view(std::vector<float>(first, first + num_frames * bins), {num_frames, bins});
}

void bind_fbank(nb::module_& m) {
  nb::class_<Fbank>(m, "Fbank", "Streaming log-mel filterbank; see docs/features.md.")
      .def(
          "__init__",
          [](Fbank* self, int rate, int bins, int length, int shift, double low, double high) {
            new (self) Fbank(FbankOptions{rate, bins, length, shift, low, high});
          },
          "sample_rate_hz"_a = 16000, "num_mel_bins"_a = 80, "frame_length_ms"_a = 25,
          "frame_shift_ms"_a = 10, "low_hz"_a = 20.0, "high_hz"_a = 0.0)
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
      .def("pop", &Fbank::pop, "num_frames"_a, "Drop the oldest frames.")
      .def("copy", [](const Fbank& self) { return Fbank(self); },
           "A stream of its own, in the same state.")
      .def("save",
           [](const Fbank& self) {
             std::string bytes = self.save();
             return nb::bytes(bytes.data(), bytes.size());
           },
           "The state of the stream as bytes, for restore() on an equal machine.")
      .def("restore",
           [](Fbank& self, nb::bytes bytes) {
             self.restore(std::string(bytes.c_str(), bytes.size()));
           },
           "state"_a);
}

}  // namespace

void bind_audio(nb::module_& m) {
  nb::module_ audio = m.def_submodule("audio", "Audio files, resampling and features.");
  bind_fbank(audio);
}
}  // namespace halfbyte::python
