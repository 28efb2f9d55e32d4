"""Streaming speech recognition in half a byte per weight."""
