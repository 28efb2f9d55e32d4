// Integer linear layers with AMX tiles: 32 rows x 32 outputs at once.
//
//   acc[m][n] = sum over k of codes[m][k] * weight[n][k], exact in int32
//
// A tile of activations is 16 rows of 64 codes as they lie; a tile of weights is 16 K blocks of 16 outputs,
// which is the packed layout once its codes are signed bytes. So weights of two tiles of outputs are widened
// into a panel of up to kPanelInputs inputs, which all rows of the call use; sums rest in `acc` between
// panels. Shifts and masks leave 16 w of a 4-bit code, so those sums are shifted right by 4, exactly, at the
// end: largest K 131 071, above it (and for few rows) the kernels of linear_avx512vnni.h run. Reads codes up
// to padded_codes(K) of each row, and the packed weights; layouts in packing.h.
#pragma once
#include "kernels/x86/amx_tiles.h"
#include "kernels/x86/linear_avx512vnni.h"

namespace halfbyte {
namespace {

constexpr int kStepInputs = 64;     // of one tile product
constexpr int kPanelInputs = 1024;  // a panel of two tiles is 32 KiB
constexpr int kTileRows = 16;
constexpr int kFewRows = 6;  // up to here VPDPBUSD is faster
constexpr int kTileBytes = 1024;
constexpr int64_t kLargestShiftedK = 131071;

// Writes K blocks kBlock.. of a unit as signed bytes, 64 each; 4-bit codes as 16 w.
template <int kBits, int kBlock>
HB_INLINE void widen_unit(const uint8_t* unit, int8_t* panel) {
  __m512i codes;
  if constexpr (kBits == 8) {
    codes = _mm512_loadu_si512(unit);
  } else if constexpr (kBits == 4) {
    const __m512i packed = _mm512_loadu_si512(unit);
    codes = _mm512_and_si512(kBlock == 0 ? _mm512_slli_epi16(packed, 4) : packed, bytes512(0xf0));
  } else {
    codes = _mm512_sub_epi8(block512<kBits, kBlock>(unit), bytes512(kZero<kBits>));
  }
  _mm512_store_si512(panel + kBlock * kGroupBytes, codes);
  if constexpr ((kBlock + 1) * kBlockInputs < unit_inputs(kBits)) widen_unit<kBits, kBlock + 1>(unit, panel);
}

// Units first..first + count of a tile of outputs to `steps` tiles of weights, what is missing as zeros.
template <int kBits>
HB_INLINE void widen_panel(const uint8_t* units, int64_t count, int64_t steps, int8_t* panel) {
  constexpr int64_t kUnitPanelBytes = unit_inputs(kBits) * kTileOutputs;
  for (int64_t unit = 0; unit < count; ++unit)
    widen_unit<kBits, 0>(units + unit * unit_bytes(kBits), panel + unit * kUnitPanelBytes);
  std::memset(panel + count * kUnitPanelBytes, 0, steps * kTileBytes - count * kUnitPanelBytes);
}

struct AmxPanel {
  const int8_t* codes;  // first row, first input of the panel
  int64_t stride;
  const int8_t* weights;  // kTiles runs of `steps` tiles
  int64_t steps;
  bool is_first;  // along K: sums start from zero
};

// Tiles 0..3 are sums (rows 0-15 and 16-31, outputs 0-15 and 16-31), 4 and 5 activations, 6 and 7 weights.
template <int kTiles, bool kTwoRows>
HB_INLINE void add_panel(const AmxPanel& in, int32_t* acc) {
  constexpr int64_t kAccBytes = kTiles * kTileOutputs * 4;
  int32_t* below = acc + kTileRows * kTiles * kTileOutputs;
  if (in.is_first) {
    tile_zero<0>(), tile_zero<1>(), tile_zero<2>(), tile_zero<3>();
  } else {
    tile_load<0>(acc, kAccBytes);
    if constexpr (kTiles == 2) tile_load<1>(acc + kTileOutputs, kAccBytes);
    if constexpr (kTwoRows) tile_load<2>(below, kAccBytes);
    if constexpr (kTwoRows && kTiles == 2) tile_load<3>(below + kTileOutputs, kAccBytes);
  }
  for (int64_t step = 0; step < in.steps; ++step) {
    const int8_t* codes = in.codes + step * kStepInputs;
    const int8_t* weights = in.weights + step * kTileBytes;
    tile_load<4>(codes, in.stride);
    tile_load<6>(weights, kGroupBytes);
    tile_dot<0, 4, 6>();
    if constexpr (kTiles == 2) {
      tile_load<7>(weights + in.steps * kTileBytes, kGroupBytes);
      tile_dot<1, 4, 7>();
    }
    if constexpr (kTwoRows) {
      tile_load<5>(codes + kTileRows * in.stride, in.stride);
      tile_dot<2, 5, 6>();
      if constexpr (kTiles == 2) tile_dot<3, 5, 7>();
    }
  }
  tile_store<0>(acc, kAccBytes);
  if constexpr (kTiles == 2) tile_store<1>(acc + kTileOutputs, kAccBytes);
  if constexpr (kTwoRows) tile_store<2>(below, kAccBytes);
  if constexpr (kTwoRows && kTiles == 2) tile_store<3>(below + kTileOutputs, kAccBytes);
}

// Shapes of the tiles for 1 to 32 rows.
inline void configure_rows(int rows) {
  TileConfig config;
  const auto upper = static_cast<uint8_t>(rows < kTileRows ? rows : kTileRows);
  const auto lower = static_cast<uint8_t>(rows > kTileRows ? rows - kTileRows : 1);
  for (int tile = 0; tile < 8; ++tile) {
    const bool is_lower = tile == 2 || tile == 3 || tile == 5;
    config.row_bytes[tile] = kGroupBytes;
    config.rows[tile] = tile >= 6 ? kTileRows : is_lower ? lower : upper;
  }
  tile_configure(config);
}

template <int kTiles>
void add_panel_rows(AmxPanel in, int rows, int32_t* acc) {
  int configured = 0;
  for (int row = 0; row < rows; row += 2 * kTileRows) {
    const int count = rows - row < 2 * kTileRows ? rows - row : 2 * kTileRows;
    if (count != configured) configure_rows(configured = count);
    AmxPanel part = in;
    part.codes += row * in.stride;
    int32_t* sums = acc + row * kTiles * kTileOutputs;
    count > kTileRows ? add_panel<kTiles, true>(part, sums) : add_panel<kTiles, false>(part, sums);
  }
  tile_release();
}

template <int kBits, int kTiles>
void accumulate_amx(int rows, const BlockInput& in, int32_t* acc) {
  alignas(64) int8_t panel[kTiles * kPanelInputs * kTileOutputs];
  constexpr int64_t kPanelUnits = kPanelInputs / unit_inputs(kBits);
  const int64_t tile_bytes = in.units * unit_bytes(kBits);
  for (int64_t unit = 0; unit < in.units; unit += kPanelUnits) {
    const int64_t count = in.units - unit < kPanelUnits ? in.units - unit : kPanelUnits;
    const int64_t steps = (count * unit_inputs(kBits) + kStepInputs - 1) / kStepInputs;
    for (int tile = 0; tile < kTiles; ++tile)
      widen_panel<kBits>(in.weights + tile * tile_bytes + unit * unit_bytes(kBits), count, steps,
                         panel + tile * steps * kTileBytes);
    add_panel_rows<kTiles>({in.codes + unit * unit_inputs(kBits), in.stride, panel, steps, unit == 0}, rows,
                           acc);
  }
  if constexpr (kBits == 4)
    for (int64_t i = 0; i < rows * kTiles * kTileOutputs; i += kTileOutputs)
      _mm512_storeu_si512(acc + i, _mm512_srai_epi32(_mm512_loadu_si512(acc + i), 4));
}

template <int kBits>
struct BlockAmx {
  static constexpr int kMaxRows = kChunkRows;
  static constexpr int kMaxTiles = 4;

  static int tiles_at_once(int64_t rows, int64_t tiles_left) {
    if (rows <= kFewRows) return BlockAvx512vnni<kBits>::tiles_at_once(rows, tiles_left);
    return tiles_left >= 2 ? 2 : 1;
  }

  static void run(int rows, int tiles, const BlockInput& in, int32_t* acc) {
    const bool overflows = kBits == 4 && in.units * unit_inputs(kBits) > kLargestShiftedK;
    if (rows <= kFewRows || overflows) return run_vnni(rows, tiles, in, acc);
    tiles == 2 ? accumulate_amx<kBits, 2>(rows, in, acc) : accumulate_amx<kBits, 1>(rows, in, acc);
  }

 private:
  static void run_vnni(int rows, int tiles, const BlockInput& in, int32_t* acc) {
    using Vnni = BlockAvx512vnni<kBits>;
    for (int row = 0; row < rows; row += Vnni::kMaxRows) {
      BlockInput part = in;
      part.codes += row * in.stride;
      part.sums += row;
      const int count = rows - row < Vnni::kMaxRows ? rows - row : Vnni::kMaxRows;
      Vnni::run(count, tiles, part, acc + row * tiles * kTileOutputs);
    }
  }
};

// See Kernels::spin.
[[maybe_unused]] int64_t spin_amx(int64_t rounds) {
  configure_rows(2 * kTileRows);
  for (int64_t round = 0; round < rounds; ++round) {
    tile_dot<0, 4, 6>();
    tile_dot<1, 4, 7>();
    tile_dot<2, 5, 6>();
    tile_dot<3, 5, 7>();
  }
  tile_release();
  return rounds * 4 * kTileRows * kTileOutputs * kStepInputs;
}

}  // namespace
}  // namespace halfbyte
