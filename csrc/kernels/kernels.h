// The arithmetic of the engine, one table of functions per instruction set.
//
// docs/integer-spec.md defines every function here to the last bit; a table never differs from another
// in its results, only in its speed. Pick a table once, keep the reference, call through it: nothing
// is dispatched per call. No function allocates, locks or throws, and all may run on several threads
// at once. Run them under a FloatEnvironment (float_environment.h).
//
// Shape letters: M rows, N outputs, K inputs, D width. Strides count elements, not bytes. Pointers need
// only the alignment of their type unless a comment asks for more. Inputs and outputs must not overlap
// except where "in place" is allowed.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "kernels/integer_only.h"
#include "kernels/packing.h"

namespace halfbyte {

// Rows of codes, ready for a GEMM.
//   codes  (M, K) int8, row m at codes + m * stride, stride >= padded_codes(K); the bytes from K to
//          padded_codes(K) of a row are zero. Any value in -128..127 is accepted.
//   scales (M) float32, each > 0.
struct CodeRows {
  int64_t rows;
  int64_t k;
  int8_t* codes;
  int64_t stride;
  float* scales;
};

// One scale for all activations of a layer, known beforehand:
//   code = clip(rint(x / scale) + zero_point, low, high)
struct StaticScale {
  float scale;         // 2^-100..2^100
  int32_t zero_point;  // low..high
  int32_t low, high;   // within -128..127
};

// Columns of a row of codes that kernels may read: K rounded up to 64.
constexpr int64_t padded_codes(int64_t k) { return (k + 63) / 64 * 64; }

// What an integer linear layer multiplies. `weights` is packed as packing.h says (64-byte alignment is
// faster, not needed) and is read up to packed_bytes(bits, n, k). K must not exceed largest_k(...), so
// that int32 cannot overflow.
struct LinearOperands {
  const CodeRows& x;       // (M, K)
  const uint8_t* weights;  // (N, K) packed
  int64_t n;
};

// What a layer's outputs go through. kGlu takes outputs n and N/2 + n: y[n] * sigmoid(y[N/2 + n]), so
// that out has N/2 columns; N/2 must be a multiple of 16 (kTileOutputs).
enum class Activation : uint8_t { kNone, kSilu, kRelu, kGlu };

// What follows the integer sum, each step one fp32 operation, so that fused and separate operators give
// the same bits:
//   y[m][n]   = ((float(acc + offsets[n]) * x.scales[m]) * scales[n]) + bias[n]
//   out[m][n] = activation(y)                                   without a residual
//   out[m][n] = residual[m][n] + (activation(y) * factor)       with one
struct Epilogue {
  const float* scales;  // (N) float32
  const float* bias;    // (N) float32
  float* out;           // (M, N) float32, row m at out + m * out_stride; nothing else is written
  int64_t out_stride;
  Activation activation = Activation::kNone;
  const float* residual = nullptr;  // (M, N), row m at residual + m * residual_stride; may be out
  int64_t residual_stride = 0;
  float factor = 1.0f;
  const int32_t* offsets = nullptr;  // (N), what a zero point adds to the sums; nullptr: nothing
  int32_t* sums = nullptr;           // in place of all that: (M, N) acc, row m at sums + m * out_stride
  const IntegerEpilogue* integer = nullptr;  // in place of all that (integer_only.h)
};

// Largest K for which M rows of codes in [-2^(a-1), 2^(a-1)] and weights in [-2^(w-1), 2^(w-1)] cannot
// leave int32.
constexpr int64_t largest_k(int weight_bits, int act_bits) {
  return ((int64_t{1} << 31) - 1) >> (weight_bits - 1 + act_bits - 1);
}

// Two strided float32 matrices and their product's place.
//   a (M, K): element (m, k) at a[m * a_row_stride + k * a_col_stride]
//   b (K, N): element (k, n) at b[k * b_row_stride + n * b_col_stride]; b_col_stride 1 is fastest
//   out (M, N): row m at out + m * out_stride
// If it continues, sums start from what `out` holds, so that a product may be cut along K.
struct GemmF32 {
  int64_t m, n, k;
  const float* a;
  int64_t a_row_stride, a_col_stride;
  const float* b;
  int64_t b_row_stride, b_col_stride;
  float* out;
  int64_t out_stride;
  bool continues = false;
};

// out = x · wᵀ + bias in float32, with w[n][k] = float(code[n][k]) * scales[n][k / group].
struct LinearW4A32 {
  int64_t m, n, k;
  const float* x;         // (M, K) contiguous
  const uint8_t* packed;  // codes of 4 bits (packing.h)
  const float* scales;    // (N, K / group) contiguous
  int64_t group;          // inputs that share a scale; divides K
  const float* bias;      // (N)
  float* out;             // (M, N) contiguous; not x
};

struct LayerNorm {
  int64_t rows, d;
  const float* x;       // (rows, D) contiguous
  const float* weight;  // (D)
  const float* bias;    // (D)
  float epsilon;
  float* out;  // (rows, D) contiguous; may be x
};

// y[t][d] = (sum over k of x[t + k][d] * weight[k][d]) + bias[d], k ascending from 0.0f.
struct DepthwiseConv {
  int64_t frames, taps, d;
  const float* x;       // (T + taps - 1, D) contiguous
  const float* weight;  // (taps, D) contiguous
  const float* bias;    // (D)
  float* out;           // (T, D) contiguous
};

// Tables of a filterbank (audio/fbank.h); double throughout.
struct LogMel {
  int64_t length, shift;  // samples of a frame, and from one to the next
  int64_t fft_size;       // a power of two, at least 4
  int64_t num_bins;
  double sample_scale, preemphasis, energy_floor;  // the floor is a normal number
  bool removes_mean;
  const double* window;     // (length)
  const int64_t* reversed;  // (fft_size / 2) bit-reversed index
  const double* cosines;    // (fft_size / 2) of 2 pi k / fft_size
  const double* sines;
  const int64_t* first_bins;     // (num_bins) first power bin of each filter
  const int64_t* filter_starts;  // (num_bins + 1) of each filter's weights
  const double* weights;
};
// Largest number of doubles of scratch for each point of the transform: a power for every second one.
constexpr int64_t kLogMelLanes = 8;

using LinearKernel = void (*)(const LinearOperands&, const Epilogue&);
using RowOp = void (*)(const float* x, int64_t rows, int64_t d, float* out);           // contiguous; in place
using UnaryOp = void (*)(const float* x, int64_t count, float* out);                   // in place
using BinaryOp = void (*)(const float* a, const float* b, int64_t count, float* out);  // in place

struct Kernels {
  const char* isa;  // one of known_isas()

  // Rows of x, (M, K) float32 at x + m * x_stride, become codes and scales with edge `qmax` (127 for 8
  // bits, 7 for 4). Fills the padding of each row with zeros. Returns -1, or the first row that holds
  // NaN or infinity; rows from there on are then not written. quantize_rows() below throws instead.
  int64_t (*quantize_rows)(const float* x, int64_t x_stride, int qmax, const CodeRows& out);

  // The same with one scale for all rows, which fills out.scales.
  int64_t (*quantize_rows_static)(const float* x, int64_t x_stride, const StaticScale& scale,
                                  const CodeRows& out);

  // Integer linear layers: [b] has weights of b bits (1..8) and activation codes of 8 bits, which may
  // hold any byte; linear_w4a4 has activation codes in -8..7. find_linear() below picks one.
  LinearKernel linear[kMaxWeightBits + 1];
  LinearKernel linear_w4a4;

  // For benchmarks: runs the multiply-add instruction behind linear[4] on registers alone, `rounds` times a
  // fixed number; returns how many multiply-adds that were. nullptr where nobody has written one.
  int64_t (*spin)(int64_t rounds);

  void (*gemm_f32)(const GemmF32&);
  void (*linear_w4a32)(const LinearW4A32&);

  void (*layer_norm)(const LayerNorm&);
  RowOp softmax;                                                     // over D
  RowOp log_softmax;                                                 // over D
  void (*glu)(const float* x, int64_t rows, int64_t d, float* out);  // (rows, 2D) -> (rows, D)
  void (*depthwise_conv)(const DepthwiseConv&);

  UnaryOp exp;
  UnaryOp log;
  UnaryOp sigmoid;
  UnaryOp silu;
  UnaryOp tanh;
  UnaryOp relu;
  BinaryOp add;
  BinaryOp mul;
  void (*scale)(const float* x, float factor, int64_t count, float* out);  // in place

  // Frame t of `samples`, which begins at t * shift, becomes row t of out (num_frames, num_bins); at least
  // one frame. The bits do not depend on how frames are put together. scratch: 64-byte aligned,
  // kLogMelLanes * 3 / 2 * fft_size doubles.
  void (*log_mel)(const LogMel&, const float* samples, int64_t num_frames, double* scratch, float* out);

  // For training. max |x|; code = clip(rint(x / scale), -qmax, qmax); bfloat16(float(code) * scale) and
  // bfloat16(x) as bits, ties to even.
  float (*amax)(const float* x, int64_t count);
  void (*codes_of_scale)(const float* x, float scale, int qmax, int64_t count, int8_t* codes);
  void (*values_bf16)(const int8_t* codes, float scale, int64_t count, uint16_t* out);
  void (*round_bf16)(const float* x, int64_t count, uint16_t* out);

  IntegerOnly integer_only;
};

// The table for this process: that of the environment variable HALFBYTE_ISA, or else the best that the
// CPU has. Picked on the first call. Throws kUsage where the variable names none or one the CPU lacks.
const Kernels& kernels();

// The table of that name; "" is kernels(). Throws kUsage for an unknown or unsupported name.
const Kernels& find_kernels(const std::string& isa);

// Names that this CPU can run, slowest first; "portable" is always there.
std::vector<std::string> available_isas();

// Every name there is, on whatever CPU: what HALFBYTE_ISA may say.
std::vector<std::string> known_isas();

// The kernel of a table for these widths: weights of 1 to 8 bits with activations of 8, or 4 with 4.
// nullptr for others.
LinearKernel find_linear(const Kernels& kernels, int weight_bits, int act_bits);

// Kernels::quantize_rows, but a row with NaN or infinity throws kInput, with its number; x begins at row
// `first_row`.
void quantize_rows(const Kernels& kernels, const float* x, int64_t x_stride, int qmax, const CodeRows& out,
                   int64_t first_row = 0);

// Kernels::quantize_rows_static, likewise.
void quantize_rows(const Kernels& kernels, const float* x, int64_t x_stride, const StaticScale& scale,
                   const CodeRows& out, int64_t first_row = 0);

}  // namespace halfbyte
