"""U2: CTC first pass, attention decoder second pass, one streaming encoder."""
