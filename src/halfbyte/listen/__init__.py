"""What runs on a device: streams, segments, transcripts. Neither torch nor numpy."""
