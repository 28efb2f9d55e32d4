#include "graph/file_mapping.h"

#include "error.h"

#if defined(_WIN32)
#include <windows.h>

#include <system_error>
#else
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#endif

namespace halfbyte {
namespace {

[[noreturn]] void fail(const std::string& path, const std::string& problem) {
  throw Error(ErrorKind::kModelFile, path + ": " + problem);
}

[[noreturn]] void fail_to_open(const std::string& path, const std::string& reason) {
  fail(path, "cannot be opened (" + reason + "); give a .hb file");
}

constexpr char kNoFile[] = "is not a regular file; give a .hb file";
constexpr char kNotMapped[] = "cannot be mapped into memory";

}  // namespace

#if defined(_WIN32)

namespace {

std::wstring wide(const std::string& text) {
  const auto size = static_cast<int>(text.size());
  std::wstring wide(text.size(), L'\0');
  wide.resize(static_cast<std::size_t>(MultiByteToWideChar(CP_UTF8, 0, text.data(), size, &wide[0], size)));
  return wide;
}

// Closes itself.
struct Handle {
  HANDLE handle;
  ~Handle() {
    if (handle != nullptr && handle != INVALID_HANDLE_VALUE) CloseHandle(handle);
  }
};

}  // namespace

FileMapping::FileMapping(const std::string& path) {
  const Handle file{CreateFileW(wide(path).c_str(), GENERIC_READ, FILE_SHARE_READ | FILE_SHARE_DELETE,
                                nullptr, OPEN_EXISTING, FILE_ATTRIBUTE_NORMAL, nullptr)};
  if (file.handle == INVALID_HANDLE_VALUE)
    fail_to_open(path, std::system_category().message(static_cast<int>(GetLastError())));
  LARGE_INTEGER size{};
  if (GetFileType(file.handle) != FILE_TYPE_DISK || !GetFileSizeEx(file.handle, &size)) fail(path, kNoFile);
  if (size.QuadPart == 0) return;
  const Handle mapping{CreateFileMappingW(file.handle, nullptr, PAGE_READONLY, 0, 0, nullptr)};
  if (mapping.handle == nullptr) fail(path, kNotMapped);
  bytes_ = static_cast<const std::uint8_t*>(MapViewOfFile(mapping.handle, FILE_MAP_READ, 0, 0, 0));
  if (bytes_ == nullptr) fail(path, kNotMapped);
  num_bytes_ = static_cast<std::uint64_t>(size.QuadPart);
}

FileMapping::~FileMapping() {
  if (bytes_ != nullptr) UnmapViewOfFile(bytes_);
}

#else

FileMapping::FileMapping(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) fail_to_open(path, std::strerror(errno));
  struct stat info{};
  const bool is_file = ::fstat(fd, &info) == 0 && S_ISREG(info.st_mode);
  num_bytes_ = is_file ? static_cast<std::uint64_t>(info.st_size) : 0;
  void* mapping = nullptr;
  if (num_bytes_ > 0) mapping = ::mmap(nullptr, num_bytes_, PROT_READ, MAP_PRIVATE, fd, 0);
  ::close(fd);
  if (!is_file) fail(path, kNoFile);
  if (mapping == MAP_FAILED) fail(path, kNotMapped);
  bytes_ = static_cast<const std::uint8_t*>(mapping);
}

FileMapping::~FileMapping() {
  if (bytes_ != nullptr) ::munmap(const_cast<std::uint8_t*>(bytes_), num_bytes_);
}

#endif

}  // namespace halfbyte
