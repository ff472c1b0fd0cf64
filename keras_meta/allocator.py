"""How the C library hands out the memory of tensors."""

import ctypes

# Parameters of `mallopt`, from glibc's `malloc.h`.
TRIM_THRESHOLD, TOP_PAD, MMAP_MAX = -1, -2, -4
LARGEST = 2**31 - 1
# What the heap grows by at least.
GROWTH = 2**26


def keep_freed_memory() -> bool:
    """Keeps memory that is freed for the next training step.

    By default glibc, the C library of most Linux systems, returns large
    blocks to the system when they are freed, and the next step takes them
    anew, page by page. That is a large share of a step that is one compiled
    loop, such as that of `MemoryAugmentedNetwork`. Call this at the top of a
    program that trains:

        import keras_meta as km

        km.allocator.keep_freed_memory()

    The process then holds the most memory that it ever needed until it ends.
    Results are the same.

    Returns:
        Whether it took effect: False where the C library is another one.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    settings = {MMAP_MAX: 0, TRIM_THRESHOLD: LARGEST, TOP_PAD: GROWTH}
    return all([mallopt(name, value) for name, value in settings.items()])
