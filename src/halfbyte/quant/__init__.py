"""Quantisers, and the reference that every kernel must equal."""
