// The lattice of a transducer: the probability of a sequence of labels, over all alignments, and its
// gradient.
#pragma once
#include <cstddef>

namespace halfbyte {

// Nodes (t, u) of one utterance, row-major (T, U + 1): u of its U labels were said before or in step t.
// A blank leads from (t, u) to (t + 1, u), label u + 1 to (t, u + 1); a blank from (T - 1, U) ends.
struct TransducerLattice {
  std::size_t num_steps;   // T, at least 1
  std::size_t num_labels;  // U
  const float* blank;      // (T, U + 1) log-probabilities of the blank
  const float* label;      // (T, U + 1) of label u + 1; those at u = U are not read
};

// Returns loss = -log P(labels), and its gradients by `blank` and `label`, (T, U + 1) each, 0 where a value
// is not used. All sums in double; 3 (U + 1) (T + 1) doubles of memory at most.
//
// FastEmit multiplies the gradient by labels with 1 + fast_emit; the loss that is returned stays -log P.
// A lattice of probability 0 gives an infinite loss and gradients of 0.
//
// Source: Graves 2012 (arXiv:1211.3711), equations 16 to 20; Yu et al. 2020, FastEmit (arXiv:2010.11148),
// equation 9, which other implementations also report as (1 + fast_emit) times the loss.
double transducer_loss(const TransducerLattice& lattice, double fast_emit, float* grad_blank,
                       float* grad_label);

}  // namespace halfbyte
