prepare_options=--lower-case test_split=test-clean
