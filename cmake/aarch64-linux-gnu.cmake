# Cross compilation for 64-bit Arm Linux with Debian's and Ubuntu's g++-aarch64-linux-gnu. Programs are static,
# so that qemu-aarch64 runs them without a root file system.
set(CMAKE_SYSTEM_NAME Linux)
set(CMAKE_SYSTEM_PROCESSOR aarch64)
set(CMAKE_C_COMPILER aarch64-linux-gnu-gcc)
set(CMAKE_CXX_COMPILER aarch64-linux-gnu-g++)
set(CMAKE_EXE_LINKER_FLAGS_INIT "-static")
