# SPDX-License-Identifier: Apache-2.0
"""An end that leaves nothing behind, whatever it is that ends a measurement.

Ctrl-C, SIGTERM and SIGHUP raise SystemExit wherever the main thread is, and blocks are left as
usual. That alone has gaps, since a signal may come between a start and the block that would end
what was started. So `run` ends all descendants at last, and removes the folders that are still
there: each was noted before it was made.
"""
import contextlib
import ctypes
import os
import secrets
import shutil
import signal
import sys
import time

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
PR_SET_CHILD_SUBREAPER = 36  # a child's orphans (cmake's ninja) become children, and are found
SECONDS = 20  # until a process that has been killed is given up: a disk may hold it
FOLDERS = set()


@contextlib.contextmanager
def folder(directory, prefix="weir-bench-"):
    """A new folder in `directory`, gone afterwards."""
    path = os.path.join(directory, prefix + secrets.token_hex(6))
    with gone(path):
        os.mkdir(path, 0o700)
        yield path


@contextlib.contextmanager
def gone(path):
    """Takes away what is at `path`, a folder that the block makes, afterwards."""
    FOLDERS.add(path)
    try:
        yield
    finally:
        shutil.rmtree(path, ignore_errors=True)
        FOLDERS.discard(path)


def parents():
    """{process: its parent} of all processes; one that ends meanwhile is left out."""
    found = {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError), \
                open(f"/proc/{name}/stat", encoding="ascii", errors="replace") as file:
            found[int(name)] = int(file.read().rsplit(") ", 1)[1].split()[1])
    return found


def descendants(process):
    """Its children, theirs, and so on."""
    above, found, last = parents(), [], {process}
    while last:
        last = {one for one, parent in above.items() if parent in last}
        found += last
    return found


def end_descendants():
    """Ends all of them at once, also those that they start meanwhile, and waits until they are
    gone: their files are in use until then."""
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline and (left := descendants(os.getpid())):
        for process in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0] != 0:
                pass
        time.sleep(0.005)


def sweep():
    """Ends every descendant, and takes away the folders that are left. Signals that come now change
    nothing."""
    for number in SIGNALS:
        if signal.getsignal(number) is unwind:
            signal.signal(number, lambda *_: None)
    end_descendants()
    for path in list(FOLDERS):
        shutil.rmtree(path, ignore_errors=True)
        FOLDERS.discard(path)


def unwind(number, _frame):
    """A signal's handler. A second one cuts short what the first one ends in order."""
    raise SystemExit(128 + number)


def run(main):
    """Exits with what main() returns; 128 + n when signal n came. What the caller had ignored, as
    nohup does with SIGHUP, stays ignored."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)
    for number in SIGNALS:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, unwind)
    try:
        code = main()
    finally:
        sweep()
    sys.exit(code)
