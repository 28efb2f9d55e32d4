"""U2: CTC first pass, attention decoder second pass, one streaming encoder."""

from halfbyte.families.u2.family import U2Family

FAMILY = U2Family()
