"""Tests of freed memory that is kept; each in a process of its own."""

import os
import pathlib
import platform
import subprocess
import sys

import pytest

FILE = pathlib.Path(__file__).parents[1] / "keras_meta" / "allocator.py"
SIZE = 64 * 2**20

# Prints the pages that a large block takes from the system, twice.
BLOCKS = f"""
import ctypes, resource, runpy, sys
from ctypes import c_size_t, c_void_p
libc = ctypes.CDLL(None)
libc.malloc.restype = c_void_p
if sys.argv[2] == "keep":
    assert runpy.run_path(sys.argv[1])["keep_freed_memory"]() is True
for _ in range(2):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    block = c_void_p(libc.malloc(c_size_t({SIZE})))
    libc.memset(block, 1, c_size_t({SIZE}))
    libc.free(block)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
WITHOUT_MALLOPT = """
import ctypes, runpy, sys
from unittest import mock

class Library:
    def __init__(self, name):
        pass

with mock.patch.object(ctypes, "CDLL", Library):
    assert runpy.run_path(sys.argv[1])["keep_freed_memory"]() is False
"""


def output_of(program, *arguments):
    result = subprocess.run(
        [sys.executable, "-c", program, str(FILE), *arguments],
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.split()


@pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc", reason="the C library is not glibc"
)
def test_a_freed_block_is_used_again():
    pages = SIZE // os.sysconf("SC_PAGE_SIZE")
    # Huge pages make it less than one fault for each page.
    first, second = map(int, output_of(BLOCKS, "give back"))
    assert second > first / 2
    first, second = map(int, output_of(BLOCKS, "keep"))
    assert second < min(first, pages) / 10


def test_another_c_library_is_left_alone():
    output_of(WITHOUT_MALLOPT)
