"""From recordings to a model file that knows their words: what `halfbyte teach` does."""
