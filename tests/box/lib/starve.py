#!/usr/bin/env python3
"""starve - hold one thread of a process, until standard input ends.

    starve.py TID      prints `held`, or why not

By ptrace(2): what a debugger, a hypervisor or a scheduler may do to a thread. When this
program ends, the thread goes on.
"""
import ctypes
import os
import sys

PTRACE_SEIZE, PTRACE_INTERRUPT, WALL = 0x4206, 0x4207, 0x40000000


def main():
    tid = int(sys.argv[1])
    libc = ctypes.CDLL(None, use_errno=True)
    libc.ptrace.argtypes = [ctypes.c_long] * 2 + [ctypes.c_void_p] * 2
    for request in (PTRACE_SEIZE, PTRACE_INTERRUPT):
        if libc.ptrace(request, tid, None, None) != 0:
            print(os.strerror(ctypes.get_errno()), flush=True)
            return
    os.waitpid(tid, WALL)
    print("held", flush=True)
    sys.stdin.read()


main()
