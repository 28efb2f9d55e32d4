"""The quantisation benchmark: a grid of (method, number format, seed) on one recipe."""
