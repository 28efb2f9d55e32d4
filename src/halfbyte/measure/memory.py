"""Memory of this process."""


def peak_rss_bytes() -> int:
    """Largest resident memory since this program was loaded.

    Not from getrusage, where Linux counts what the process held before it became this program.
    """
    try:
        with open("/proc/self/status", encoding="utf-8") as status:
            peaks = [line.split()[1] for line in status if line.startswith("VmHWM")]
    except OSError:
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # bytes on macOS
    return int(peaks[0]) * 1024
