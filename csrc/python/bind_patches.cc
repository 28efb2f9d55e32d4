// 3 x 3 patches of stride 2 and their gradient, for training; in `halfbyte._core.kernels`. An image is
// (B, T, F, C); its patches are (B, (T - 1) // 2, (F - 1) // 2, 9 C), time, frequency, channel.
#include <algorithm>
#include <cstring>
#include <vector>

#include "kernels/kernels.h"
#include "python/bindings.h"
#include "python/kernel_arrays.h"
#include "python/training_threads.h"

namespace halfbyte::python {
namespace {

constexpr int64_t kKernel = 3, kStride = 2;
constexpr int64_t kElementsAtOnce = 1 << 15;  // fewer are done before a second thread is awake

template <class T>
using Image = nb::ndarray<T, nb::ndim<4>, nb::c_contig, nb::device::cpu>;

int64_t num_places(int64_t length) { return length < kKernel ? 0 : (length - kKernel) / kStride + 1; }

struct Shape {
  int64_t batch, rows, columns, channels;  // of the image
  int64_t places_down, places_across;      // of patches in it

  template <class X, class P>
  Shape(const Image<X>& image, const Image<P>& patches)
      : batch(size(image.shape(0))),
        rows(size(image.shape(1))),
        columns(size(image.shape(2))),
        channels(size(image.shape(3))),
        places_down(num_places(rows)),
        places_across(num_places(columns)) {
    expect(size(patches.shape(0)) == batch && size(patches.shape(1)) == places_down &&
               size(patches.shape(2)) == places_across &&
               size(patches.shape(3)) == kKernel * kKernel * channels,
           "patches must be (B, (T - 1) // 2, (F - 1) // 2, 9 C) for an image (B, T, F, C)");
  }

  int64_t row_size() const { return columns * channels; }
  int64_t strip_size() const { return kKernel * channels; }  // a row of a patch, contiguous in both
  int64_t patch_size() const { return kKernel * strip_size(); }
  int64_t places_size() const { return places_across * patch_size(); }
};

template <class T>
void patches(Image<const T> image, Image<T> out, int threads) {
  const Shape shape(image, out);
  if (out.size() == 0) return;
  const int64_t grain = kElementsAtOnce / shape.places_size() + 1;
  nb::gil_scoped_release no_gil;
  share_rows(threads, shape.batch * shape.places_down, grain, [&](int64_t begin, int64_t end) {
    for (int64_t place = begin; place < end; ++place) {
      const int64_t row = place / shape.places_down * shape.rows + place % shape.places_down * kStride;
      const T* const from = image.data() + row * shape.row_size();
      T* strip = out.data() + place * shape.places_size();
      for (int64_t across = 0; across < shape.places_across; ++across)
        for (int64_t down = 0; down < kKernel; ++down, strip += shape.strip_size())
          std::memcpy(strip, from + down * shape.row_size() + across * kStride * shape.channels,
                      static_cast<std::size_t>(shape.strip_size()) * sizeof(T));
    }
  });
}

void add(const float* x, int64_t count, float* sum) {
  for (int64_t i = 0; i < count; ++i) sum[i] += x[i];
}
void add(const int16_t* x, int64_t count, float* sum) {
  for (int64_t i = 0; i < count; ++i) sum[i] += float_of_bf16(x[i]);
}

void store(const Kernels&, const std::vector<float>& sum, float* out) {
  std::memcpy(out, sum.data(), sum.size() * sizeof(float));
}
void store(const Kernels& table, const std::vector<float>& sum, int16_t* out) {
  table.round_bf16(sum.data(), size(sum.size()), reinterpret_cast<uint16_t*>(out));
}

// One row of the image's gradient: what the patches that hold it got, first the later ones.
template <class T>
void sum_of_row(const Shape& shape, const T* gradient, int64_t row, std::vector<float>* sum) {
  std::fill(sum->begin(), sum->end(), 0.0f);
  for (int64_t down = row % kStride; down < kKernel; down += kStride) {
    const int64_t place = (row - down) / kStride;
    if (row < down || place >= shape.places_down) continue;
    const T* strip = gradient + place * shape.places_size() + down * shape.strip_size();
    for (int64_t across = 0; across < shape.places_across; ++across, strip += shape.patch_size())
      add(strip, shape.strip_size(), sum->data() + across * kStride * shape.channels);
  }
}

template <class T>
void patches_backward(Image<const T> gradient, Image<T> out, Isa isa, int threads) {
  const Shape shape(out, gradient);
  if (out.size() == 0) return;
  const Kernels& table = find_kernels(isa);
  const int64_t image_size = shape.places_down * shape.places_size();
  Computing computing;
  share_rows(threads, shape.batch * shape.rows, kElementsAtOnce / shape.row_size() + 1,
             [&](int64_t begin, int64_t end) {
               std::vector<float> sum(static_cast<std::size_t>(shape.row_size()));
               for (int64_t row = begin; row < end; ++row) {
                 const T* const own = gradient.data() + row / shape.rows * image_size;
                 sum_of_row(shape, own, row % shape.rows, &sum);
                 store(table, sum, out.data() + row * shape.row_size());
               }
             });
}

template <class T>
void def_patches(nb::module_& m, const std::string& suffix) {
  m.def(("patches" + suffix).c_str(), patches<T>, nb::arg("image").noconvert(), nb::arg("out").noconvert(),
        nb::arg("threads") = 1, "Fills out with the patches of an image.");
  m.def(("patches_backward" + suffix).c_str(), patches_backward<T>, nb::arg("gradient").noconvert(),
        nb::arg("out").noconvert(), default_isa_arg(), nb::arg("threads") = 1,
        "Fills out with the gradient of an image whose patches have this one; sums in float32.");
}

}  // namespace

void bind_patches(nb::module_& m) {
  def_patches<float>(m, "");
  def_patches<int16_t>(m, "_bf16");
}

}  // namespace halfbyte::python
