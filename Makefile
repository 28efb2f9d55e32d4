PYTHON ?= python3

.PHONY: build
build:  ## build the C++ core in place, for development
	cmake -S . -B build/dev -G Ninja -DPython_EXECUTABLE=$$(command -v $(PYTHON)) \
	  -DCMAKE_LIBRARY_OUTPUT_DIRECTORY=$(CURDIR)/src/halfbyte
	cmake --build build/dev
