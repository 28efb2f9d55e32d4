"""Transducer: a streaming encoder, a predictor of the last two tokens, a joint over both."""

from halfbyte.families.transducer.family import TransducerFamily

FAMILY = TransducerFamily()
