#!/usr/bin/env python3
"""forbid - run a command to which the kernel denies io_uring, as a container's policy does.

    forbid.py COMMAND [ARGUMENT ...]

A seccomp filter (seccomp(2)) answers io_uring_setup with EPERM; all else passes.
"""
import ctypes
import os
import struct
import sys

PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2
IO_URING_SETUP = 425            # the same number on every architecture
LOAD, JUMP_EQ, RETURN = 0x20, 0x15, 0x06
ALLOW, ERRNO = 0x7fff0000, 0x00050000


def main():
    code = b"".join(struct.pack("HBBI", *step) for step in (
        (LOAD, 0, 0, 0), (JUMP_EQ, 0, 1, IO_URING_SETUP), (RETURN, 0, 0, ERRNO | 1),
        (RETURN, 0, 0, ALLOW)))
    text = ctypes.create_string_buffer(code, len(code))
    program = ctypes.create_string_buffer(struct.pack("HxxxxxxP", 4, ctypes.addressof(text)))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        sys.exit("forbid: prctl failed")
    if libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, program, 0, 0) != 0:
        sys.exit("forbid: seccomp failed")
    os.execv(sys.argv[1], sys.argv[1:])


main()
