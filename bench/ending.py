# SPDX-License-Identifier: Apache-2.0
"""An end that leaves nothing behind, whatever it is that ends a measurement.

Ctrl-C, SIGTERM and SIGHUP raise SystemExit wherever the main thread is, and blocks are left as
usual. That alone has gaps, since a signal may come between a start and the block that would end
what was started. So `run` ends all descendants at last, and removes the folders that are still
there: each was noted before it was made.
"""
import contextlib
import os
import secrets
import shutil
import signal
import sys

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
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


def sweep():
    """Ends every descendant at once, and takes away the folders that are left. Signals that come
    now change nothing."""
    for number in SIGNALS:
        if signal.getsignal(number) is unwind:
            signal.signal(number, lambda *_: None)
    for process in descendants(os.getpid()):
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)
    with contextlib.suppress(ChildProcessError):
        while True:
            os.waitpid(-1, 0)  # whose files are in use until then
    for path in list(FOLDERS):
        shutil.rmtree(path, ignore_errors=True)
        FOLDERS.discard(path)


def unwind(number, _frame):
    """A signal's handler. A second one cuts short what the first one ends in order."""
    raise SystemExit(128 + number)


def run(main):
    """Exits with what main() returns; 128 + n when signal n came. What the caller had ignored, as
    nohup does with SIGHUP, stays ignored."""
    for number in SIGNALS:
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, unwind)
    try:
        code = main()
    finally:
        sweep()
    sys.exit(code)
