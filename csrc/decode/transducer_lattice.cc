#include "decode/transducer_lattice.h"

#include <algorithm>
#include <limits>
#include <vector>

#include "specified_math.h"

namespace halfbyte {
namespace {

constexpr double kImpossible = -std::numeric_limits<double>::infinity();

// alpha(t, u): log of the probability of all ways to node (t, u).
std::vector<double> forward(const TransducerLattice& lattice) {
  const std::size_t width = lattice.num_labels + 1;
  std::vector<double> alpha(lattice.num_steps * width, kImpossible);
  alpha[0] = 0;
  for (std::size_t t = 0; t < lattice.num_steps; ++t)
    for (std::size_t u = 0; u < width; ++u) {
      const std::size_t at = t * width + u;
      if (t > 0) alpha[at] = alpha[at - width] + static_cast<double>(lattice.blank[at - width]);
      if (u > 0) alpha[at] = log_add(alpha[at], alpha[at - 1] + static_cast<double>(lattice.label[at - 1]));
    }
  return alpha;
}

// Gradient of the loss by a log-probability that lies on ways of this probability.
float gradient(double ways, double total, double factor = 1) {
  return static_cast<float>(factor * -specified_exp(ways - total));
}

}  // namespace

double transducer_loss(const TransducerLattice& lattice, double fast_emit, float* grad_blank,
                       float* grad_label) {
  const std::size_t width = lattice.num_labels + 1, last = lattice.num_steps * width - 1;
  const std::vector<double> alpha = forward(lattice);
  const double total = alpha[last] + static_cast<double>(lattice.blank[last]);
  std::fill_n(grad_blank, last + 1, 0.0f);
  std::fill_n(grad_label, last + 1, 0.0f);
  if (total == kImpossible) return -total;
  // beta of step t + 1, then, from its end, of step t: log of the probability of all ways from a node on.
  std::vector<double> beta(width, kImpossible);
  for (std::size_t t = lattice.num_steps; t-- > 0;)
    for (std::size_t u = width; u-- > 0;) {
      const std::size_t at = t * width + u;
      const double after = at == last ? 0.0 : beta[u];
      const double by_blank = static_cast<double>(lattice.blank[at]) + after;
      grad_blank[at] = gradient(alpha[at] + by_blank, total);
      beta[u] = by_blank;
      if (u + 1 == width) continue;
      const double by_label = static_cast<double>(lattice.label[at]) + beta[u + 1];
      grad_label[at] = gradient(alpha[at] + by_label, total, 1 + fast_emit);
      beta[u] = log_add(by_blank, by_label);
    }
  return -total;
}

}  // namespace halfbyte
