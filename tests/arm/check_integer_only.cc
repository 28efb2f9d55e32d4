// Kernels of integer-only models.
#include <cstdint>
#include <string>
#include <vector>

#include "arm/check_kernels.h"
#include "arm/digest.h"
#include "kernels/kernels.h"
#include "kernels/packing.h"

namespace halfbyte {
namespace {

constexpr int kRows = 3;
constexpr int kWidths[] = {1, 7, 15, 16, 17, 31, 33, 64, 100, 192};
constexpr int kShifts[] = {1, 16, 31, 32, 33, 40, 62};

size_t size_of(int64_t count) { return static_cast<size_t>(count); }

std::vector<int32_t> multipliers_of(Numbers* numbers, int64_t count) {
  std::vector<int32_t> values = numbers->integers(size_of(count));
  for (int32_t& value : values) value &= INT32_MAX;
  return values;
}

std::vector<int8_t> table_of(Numbers* numbers) { return numbers->codes(256, -127, 127, Fill::kRandom); }

// A product with all that may follow it.
void digest_product(const Kernels& kernels, int bits, int rows, int n, int k, int shift, Digest* digest) {
  Numbers numbers(static_cast<uint64_t>(((rows * 512 + n) * 512 + k) * 64 + shift));
  std::vector<int8_t> codes(size_of(rows * padded_codes(k)));
  for (int row = 0; row < rows; ++row)
    for (int i = 0; i < k; ++i)
      codes[size_of(row * padded_codes(k) + i)] = static_cast<int8_t>(numbers.between(-127, 127));
  const int largest = bits == 1 ? 1 : (1 << (bits - 1)) - 1;
  std::vector<int8_t> weights = numbers.codes(size_of(n * k), -largest, largest, Fill::kRandom);
  if (bits == 1)
    for (int8_t& weight : weights) weight = weight > 0 ? 1 : -1;
  std::vector<uint8_t> packed(size_of(packed_bytes(bits, n, k)));
  pack_codes(bits, weights.data(), n, k, packed.data());
  const std::vector<int32_t> bias = numbers.integers(size_of(n)), multipliers = multipliers_of(&numbers, n);
  const std::vector<int8_t> table = table_of(&numbers);
  const std::vector<int16_t> residual = numbers.wide_codes(size_of(rows * n));
  const CodeRows x{rows, k, codes.data(), padded_codes(k), nullptr};
  for (int kind = 0; kind < 5; ++kind) {
    IntegerEpilogue integer{bias.data(), multipliers.data(), shift, n};
    std::vector<int8_t> narrow(size_of(rows * n));
    std::vector<int16_t> wide(size_of(rows * n));
    if (kind < 3)
      integer.codes = narrow.data();
    else
      integer.wide = wide.data();
    if (kind == 1) integer.low = 0;
    if (kind == 2) integer.table = table.data();
    if (kind == 4) integer.residual = residual.data();
    Epilogue epilogue{};
    epilogue.integer = &integer;
    find_linear(kernels, bits, 8)({x, packed.data(), n}, epilogue);
    digest->add_bytes(narrow.data(), narrow.size());
    digest->add_bytes(wide.data(), wide.size() * sizeof(int16_t));
  }
}

void check_products(const Kernels& kernels) {
  for (const int bits : {1, 3, 4, 8}) {
    Digest digest;
    for (const int rows : {1, 4, 9})
      for (const int n : {1, 16, 17, 63, 64})
        for (const int k : {1, 9, 64, 100})
          for (const int shift : kShifts) digest_product(kernels, bits, rows, n, k, shift, &digest);
    digest.print("integer-only linear w" + std::to_string(bits) + "a8");
  }
}

void digest_rescale(const IntegerOnly& kernels, int64_t n, int shift, Numbers* numbers, Digest* digest) {
  std::vector<int32_t> acc = numbers->integers(size_of(kRows * n)), multipliers = multipliers_of(numbers, n);
  acc[0] = INT32_MIN, acc[size_of(n)] = INT32_MAX;
  multipliers[0] = INT32_MAX;
  const std::vector<int16_t> residual = numbers->wide_codes(size_of(kRows * n));
  std::vector<int8_t> narrow(size_of(kRows * n));
  std::vector<int16_t> wide(size_of(kRows * n));
  const Rescale op{kRows, n, acc.data(), multipliers.data(), shift};
  for (const int low : {-127, 0}) {
    kernels.rescale_i8(op, low, narrow.data());
    digest->add_bytes(narrow.data(), narrow.size());
  }
  for (const int16_t* before : {static_cast<const int16_t*>(nullptr), residual.data()}) {
    kernels.rescale_i16(op, before, wide.data());
    digest->add_bytes(wide.data(), wide.size() * sizeof(int16_t));
  }
}

void digest_glu(const IntegerOnly& kernels, int64_t d, int shift, Numbers* numbers, Digest* digest) {
  const std::vector<int8_t> x = numbers->codes(size_of(2 * kRows * d), -127, 127, Fill::kRandom);
  std::vector<int16_t> gates = numbers->wide_codes(256);
  for (int16_t& gate : gates) gate &= INT16_MAX;
  std::vector<int8_t> out(size_of(kRows * d));
  kernels.glu({kRows, d, x.data(), gates.data(), INT32_MAX, shift, out.data()});
  digest->add_bytes(out.data(), out.size());
}

void digest_norm(const IntegerOnly& kernels, int64_t d, int shift, Numbers* numbers, Digest* digest) {
  std::vector<int16_t> x = numbers->wide_codes(size_of(kRows * d));
  for (int64_t i = 0; i < d; ++i) x[size_of(d + i)] = 5, x[size_of(2 * d + i)] /= 4096;
  const std::vector<int32_t> weight = multipliers_of(numbers, d);
  std::vector<int64_t> bias(size_of(d));
  for (int64_t& value : bias) value = numbers->integers(1)[0] * (int64_t{1} << (shift / 2));
  const std::vector<int8_t> table = table_of(numbers);
  std::vector<int8_t> narrow(size_of(kRows * d));
  std::vector<int16_t> wide(size_of(kRows * d));
  IntegerLayerNorm op{kRows, d, x.data(), weight.data(), bias.data(), 40, shift};
  kernels.layer_norm_i16(op, wide.data());
  digest->add_bytes(wide.data(), wide.size() * sizeof(int16_t));
  for (const int8_t* entries : {static_cast<const int8_t*>(nullptr), table.data()}) {
    op.table = entries;
    kernels.layer_norm_i8(op, narrow.data());
    digest->add_bytes(narrow.data(), narrow.size());
  }
}

void digest_depthwise(const IntegerOnly& kernels, int64_t d, int shift, Numbers* numbers, Digest* digest) {
  constexpr int kTaps = 15;
  const std::vector<int8_t> x = numbers->codes(size_of((kRows + kTaps - 1) * d), -127, 127, Fill::kRandom);
  const std::vector<int8_t> weight = numbers->codes(size_of(kTaps * d), -127, 127, Fill::kRandom);
  const std::vector<int32_t> bias = numbers->integers(size_of(d)), multipliers = multipliers_of(numbers, d);
  const IntegerDepthwise op{kRows, kTaps, d, x.data(), weight.data(), bias.data()};
  std::vector<int32_t> sums(size_of(kRows * d));
  std::vector<int16_t> wide(size_of(kRows * d));
  kernels.depthwise(op, sums.data());
  kernels.depthwise_i16(op, multipliers.data(), shift, wide.data());
  digest->add_bytes(sums.data(), sums.size() * sizeof(int32_t));
  digest->add_bytes(wide.data(), wide.size() * sizeof(int16_t));
}

void digest_attention(const IntegerOnly& kernels, int64_t keys, int shift, Numbers* numbers, Digest* digest) {
  std::vector<int32_t> content = numbers->integers(size_of(kRows * keys));
  std::vector<int32_t> position = numbers->integers(size_of(kRows * (keys + kRows)));
  for (int32_t& value : content) value >>= 9;
  for (int32_t& value : position) value >>= 9;
  std::vector<int8_t> valid = numbers->codes(size_of(keys), 0, 1, Fill::kRandom), exponentials(512);
  for (int i = 0; i < 512; ++i) exponentials[size_of(i)] = static_cast<int8_t>(127 - i / 4);
  std::vector<int32_t> below(size_of(keys)), totals(kRows);
  std::vector<int8_t> weights(size_of(kRows * padded_codes(keys)), 1), out(size_of(kRows * keys));
  kernels.attention_weights({kRows, keys, content.data(), position.data(), keys + kRows, kRows, valid.data(),
                             exponentials.data(), 512, 1 << 30, 1234567890, shift, below.data(),
                             weights.data(), padded_codes(keys), totals.data()});
  digest->add_bytes(weights.data(), weights.size());
  digest->add_bytes(totals.data(), totals.size() * sizeof(int32_t));
  totals[1] = 0;
  kernels.attention_mean(
      {kRows, keys, content.data(), totals.data(), INT32_MAX, shift < 55 ? shift : 55, out.data(), keys});
  digest->add_bytes(out.data(), out.size());
}

void check_ends(const IntegerOnly& kernels) {
  Digest digest;
  for (const int64_t f : kWidths) {
    Numbers numbers(static_cast<uint64_t>(f));
    std::vector<float> x = numbers.reals(size_of(kRows * f)), mean = numbers.reals(size_of(f)),
                       factor = numbers.reals(size_of(f));
    x[0] = 0x1p+100f;
    std::vector<int8_t> codes(size_of(kRows * f));
    const bool is_finite =
        kernels.feature_codes({kRows, f, x.data(), mean.data(), factor.data(), codes.data()});
    digest.add_bytes(codes.data(), codes.size());
    digest.add_bytes(&is_finite, sizeof is_finite);
    std::vector<float> values(codes.size());
    kernels.numbers_i8(codes.data(), 0.3f, kRows * f, values.data());
    digest.add(values);
    const std::vector<int16_t> wide = numbers.wide_codes(codes.size());
    kernels.numbers_i16(wide.data(), 0.3f, kRows * f, values.data());
    digest.add(values);
    kernels.table(codes.data(), kRows * f, table_of(&numbers).data(), codes.data());
    digest.add_bytes(codes.data(), codes.size());
  }
  digest.print("integer-only features, numbers, table");
}

}  // namespace

void check_integer_only(const Kernels& kernels) {
  check_products(kernels);
  check_ends(kernels.integer_only);
  using Check = void (*)(const IntegerOnly&, int64_t, int, Numbers*, Digest*);
  const std::pair<const char*, Check> checks[] = {{"rescale", digest_rescale},
                                                  {"glu", digest_glu},
                                                  {"layer norm", digest_norm},
                                                  {"depthwise", digest_depthwise},
                                                  {"attention", digest_attention}};
  for (const auto& [name, check] : checks) {
    Digest digest;
    for (const int width : kWidths)
      for (const int shift : kShifts) {
        Numbers numbers(static_cast<uint64_t>(width * 64 + shift));
        check(kernels.integer_only, width, shift, &numbers, &digest);
      }
    digest.print(std::string("integer-only ") + name);
  }
}

}  // namespace halfbyte
