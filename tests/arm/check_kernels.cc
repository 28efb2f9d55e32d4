#include "arm/check_kernels.h"

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <limits>
#include <vector>

#include "arm/digest.h"
#include "kernels/float_environment.h"
#include "kernels/kernels.h"
#include "kernels/packing.h"

namespace halfbyte {
namespace {

// A layer with its inputs.
struct Layer {
  int bits, rows, n, k;
  std::vector<int8_t> codes;
  std::vector<uint8_t> packed;
  std::vector<float> row_scales, scales, bias, residual;
  std::vector<int32_t> offsets;

  Layer(int weight_bits, int act_bits, int m, int outputs, int inputs, Fill fill)
      : bits(weight_bits), rows(m), n(outputs), k(inputs) {
    Numbers numbers(static_cast<uint64_t>(((m * 512 + outputs) * 512 + inputs) * 8 + weight_bits));
    const int edge = 1 << (act_bits - 1), weight_edge = 1 << (weight_bits - 1);
    const auto x = numbers.codes(static_cast<size_t>(rows * k), -edge, edge - 1, fill);
    codes.assign(static_cast<size_t>(rows * padded_codes(k)), 0);
    for (int row = 0; row < rows; ++row)
      std::memcpy(codes.data() + row * padded_codes(k), x.data() + row * k, static_cast<size_t>(k));
    const int low = weight_bits == 1 ? -1 : -weight_edge, high = weight_bits == 1 ? 1 : weight_edge - 1;
    auto weights = numbers.codes(static_cast<size_t>(n * k), low, high, fill);
    if (weight_bits == 1)
      for (int8_t& weight : weights) weight = weight > 0 || fill == Fill::kZeros ? 1 : -1;
    packed.resize(static_cast<size_t>(packed_bytes(bits, n, k)));
    pack_codes(bits, weights.data(), n, k, packed.data());
    row_scales = numbers.reals(static_cast<size_t>(rows));
    for (float& scale : row_scales) scale = std::fabs(scale) + 0.25f;
    scales = numbers.reals(static_cast<size_t>(n));
    bias = numbers.reals(static_cast<size_t>(n));
    residual = numbers.reals(static_cast<size_t>(rows * n));
    for (int i = 0; i < n; ++i) offsets.push_back((i - n / 2) * 12345);
  }

  CodeRows x() { return {rows, k, codes.data(), padded_codes(k), row_scales.data()}; }
};

void digest_layer(LinearKernel kernel, Layer& layer, Digest* digest) {
  const CodeRows x = layer.x();
  const LinearOperands operands{x, layer.packed.data(), layer.n};
  std::vector<int32_t> sums(static_cast<size_t>(layer.rows * layer.n));
  Epilogue epilogue{layer.scales.data(), layer.bias.data(), nullptr, layer.n};
  epilogue.sums = sums.data();
  kernel(operands, epilogue);
  digest->add_bytes(sums.data(), sums.size() * sizeof(int32_t));
  epilogue.sums = nullptr;
  for (const Activation activation :
       {Activation::kNone, Activation::kSilu, Activation::kRelu, Activation::kGlu}) {
    if (activation == Activation::kGlu && layer.n % (2 * kTileOutputs) != 0) continue;
    const int width = activation == Activation::kGlu ? layer.n / 2 : layer.n;
    std::vector<float> out(static_cast<size_t>(layer.rows * width));
    epilogue.out = out.data();
    epilogue.out_stride = width;
    epilogue.activation = activation;
    epilogue.residual = nullptr;
    kernel(operands, epilogue);
    digest->add(out);
    epilogue.residual = layer.residual.data();
    epilogue.residual_stride = layer.n;
    epilogue.factor = 0.5f;
    kernel(operands, epilogue);
    digest->add(out);
    epilogue.offsets = layer.offsets.data();
    kernel(operands, epilogue);
    digest->add(out);
    epilogue.offsets = nullptr;
  }
}

void check_linear(const Kernels& kernels, int weight_bits, int act_bits) {
  for (const Fill fill : {Fill::kRandom, Fill::kLowest, Fill::kHighest, Fill::kZeros}) {
    Digest digest;
    for (const int rows : {1, 2, 3, 4, 5, 9})
      for (const int n : {1, 15, 16, 17, 32, 64})
        for (const int k : {1, 3, 4, 5, 8, 12, 20, 31, 32, 33, 63, 64, 65, 132}) {
          Layer layer(weight_bits, act_bits, rows, n, k, fill);
          digest_layer(find_linear(kernels, weight_bits, act_bits), layer, &digest);
        }
    digest.print("linear w" + std::to_string(weight_bits) + "a" + std::to_string(act_bits) + " " +
                 kFillNames[static_cast<int>(fill)]);
  }
}

// Numbers that show differences: ordinary ones, ties, the edges of ranges, denormals, zeros, infinities.
std::vector<float> hard_numbers() {
  std::vector<float> values = Numbers(7).reals(4001);
  for (const float edge : {0.0f, 0.5f, 1.5f, 87.0f, 87.5f, 88.0f, 89.0f, 0x1p-126f, 0x1p-140f, 0x1p+23f,
                           0x1p+126f, std::numeric_limits<float>::infinity()})
    for (const float sign : {1.0f, -1.0f}) values.push_back(sign * edge);
  for (int exponent = -140; exponent < 127; ++exponent) values.push_back(std::ldexp(1.1f, exponent));
  return values;
}

void check_unary(const char* name, UnaryOp op) {
  const std::vector<float> x = hard_numbers();
  std::vector<float> out(x.size());
  Digest digest;
  op(x.data(), static_cast<int64_t>(x.size()), out.data());
  digest.add(out);
  digest.print(name);
}

void check_elementwise(const Kernels& kernels) {
  check_unary("exp", kernels.exp);
  check_unary("log", kernels.log);
  check_unary("sigmoid", kernels.sigmoid);
  check_unary("silu", kernels.silu);
  check_unary("tanh", kernels.tanh);
  check_unary("relu", kernels.relu);
  const std::vector<float> a = hard_numbers(), b(a.rbegin(), a.rend());
  const auto count = static_cast<int64_t>(a.size());
  std::vector<float> out(a.size());
  Digest digest;
  kernels.add(a.data(), b.data(), count, out.data());
  digest.add(out);
  kernels.mul(a.data(), b.data(), count, out.data());
  digest.add(out);
  kernels.scale(a.data(), 0.3f, count, out.data());
  digest.add(out);
  digest.print("add, mul, scale");
}

void check_rows(const Kernels& kernels) {
  Digest digest;
  for (const int64_t d : {1, 2, 15, 16, 17, 33, 64, 100, 257}) {
    const int64_t rows = 3;
    const auto size = static_cast<size_t>(rows * d), width = static_cast<size_t>(d);
    Numbers numbers(static_cast<uint64_t>(d));
    const std::vector<float> x = numbers.reals(2 * size), weight = numbers.reals(width),
                             bias = numbers.reals(width);
    std::vector<float> out(size);
    kernels.softmax(x.data(), rows, d, out.data());
    digest.add(out);
    kernels.log_softmax(x.data(), rows, d, out.data());
    digest.add(out);
    kernels.glu(x.data(), rows, d, out.data());
    digest.add(out);
    kernels.layer_norm({rows, d, x.data(), weight.data(), bias.data(), 1e-5f, out.data()});
    digest.add(out);
    const std::vector<float> frames = numbers.reals(static_cast<size_t>((rows + 14) * d)),
                             taps = numbers.reals(static_cast<size_t>(15 * d));
    kernels.depthwise_conv({rows, 15, d, frames.data(), taps.data(), bias.data(), out.data()});
    digest.add(out);
  }
  digest.print("softmax, log_softmax, glu, layer_norm, depthwise_conv");
}

void check_gemm_f32(const Kernels& kernels) {
  Digest digest;
  for (const int64_t m : {1, 3, 9})
    for (const int64_t n : {1, 7, 16, 33})
      for (const int64_t k : {1, 5, 129}) {
        Numbers numbers(static_cast<uint64_t>((m * 64 + n) * 256 + k));
        const auto a = numbers.reals(static_cast<size_t>(m * k)),
                   b = numbers.reals(static_cast<size_t>(k * n));
        std::vector<float> out(static_cast<size_t>(m * n));
        kernels.gemm_f32({m, n, k, a.data(), k, 1, b.data(), n, 1, out.data(), n});
        digest.add(out);
        kernels.gemm_f32({m, n, k, a.data(), 1, m, b.data(), 1, k, out.data(), n});
        digest.add(out);
      }
  digest.print("gemm_f32");
}

void check_weight_only(const Kernels& kernels) {
  Digest digest;
  for (const int m : {1, 3, 9})
    for (const int n : {1, 16, 17, 33})
      for (const int k : {5, 8, 130, 144}) {
        Layer layer(4, 8, m, n, k, Fill::kRandom);
        const auto x = Numbers(static_cast<uint64_t>(k)).reals(static_cast<size_t>(m * k));
        for (const int group : {1, 5, 8, k}) {
          if (k % group != 0) continue;
          const auto scales = Numbers(7).reals(static_cast<size_t>(n * k / group));
          std::vector<float> out(static_cast<size_t>(m * n));
          kernels.linear_w4a32(
              {m, n, k, x.data(), layer.packed.data(), scales.data(), group, layer.bias.data(), out.data()});
          digest.add(out);
        }
      }
  digest.print("linear w4a32");
}

void check_quantize(const Kernels& kernels) {
  Digest digest;
  for (const int64_t k : {1, 7, 16, 63, 64, 65, 200})
    for (const int qmax : {7, 127}) {
      Numbers numbers(static_cast<uint64_t>(k));
      std::vector<float> x = numbers.reals(static_cast<size_t>(3 * k));
      for (int64_t i = 0; i < k; ++i) x[static_cast<size_t>(k + i)] *= 0x1p-110f;
      for (int64_t i = 0; i < k; ++i) x[static_cast<size_t>(2 * k + i)] *= 0x1p+120f;
      std::vector<int8_t> codes(static_cast<size_t>(3 * padded_codes(k)), 1);
      std::vector<float> scales(3);
      kernels.quantize_rows(x.data(), k, qmax, {3, k, codes.data(), padded_codes(k), scales.data()});
      digest.add_bytes(codes.data(), codes.size());
      digest.add(scales);
    }
  digest.print("quantize_rows");
}

void check_quantize_static(const Kernels& kernels) {
  Digest digest;
  for (const int64_t k : {1, 7, 16, 63, 64, 65, 200, 600})
    for (const StaticScale& scale :
         {StaticScale{0.013f, 0, -127, 127}, StaticScale{1.0f, -128, -128, 127},
          StaticScale{0x1p-100f, 3, -8, 7}, StaticScale{0x1.8p+90f, 127, -128, 127}}) {
      std::vector<float> x = Numbers(static_cast<uint64_t>(k)).reals(static_cast<size_t>(3 * k));
      const int64_t middle = k / 2;
      for (int64_t i = 0; i < k; ++i) {  // halves between codes, some ulps off; and far beyond all codes
        x[static_cast<size_t>(i)] = (static_cast<float>(i - middle) + 0.5f) * scale.scale;
        x[static_cast<size_t>(k + i)] = std::nextafter(x[static_cast<size_t>(i)], i % 2 ? 1e30f : -1e30f);
        x[static_cast<size_t>(2 * k + i)] *= 0x1p+120f;
      }
      std::vector<int8_t> codes(static_cast<size_t>(3 * padded_codes(k)), 1);
      std::vector<float> scales(3);
      const CodeRows rows{3, k, codes.data(), padded_codes(k), scales.data()};
      kernels.quantize_rows_static(x.data(), k, scale, rows);
      digest.add_bytes(codes.data(), codes.size());
      digest.add(scales);
    }
  digest.print("quantize_rows_static");
}

}  // namespace

void check_kernels(const std::string& isa) {
  const FloatEnvironment environment;
  const Kernels& kernels = find_kernels(isa);
  for (int bits = 1; bits <= kMaxWeightBits; ++bits) check_linear(kernels, bits, 8);
  check_linear(kernels, 4, 4);
  check_elementwise(kernels);
  check_rows(kernels);
  check_gemm_f32(kernels);
  check_weight_only(kernels);
  check_quantize(kernels);
  check_quantize_static(kernels);
  check_integer_only(kernels);
}

void repeat_linear(const std::string& isa, int weight_bits, int rows, int n, int k, int repeats) {
  const FloatEnvironment environment;
  Layer layer(weight_bits, 8, rows, n, k, Fill::kZeros);
  const LinearKernel kernel = find_linear(find_kernels(isa), weight_bits, 8);
  std::vector<float> out(static_cast<size_t>(rows * n));
  const CodeRows x = layer.x();
  for (int i = 0; i < repeats; ++i)
    kernel({x, layer.packed.data(), n}, {layer.scales.data(), layer.bias.data(), out.data(), n});
}

}  // namespace halfbyte
