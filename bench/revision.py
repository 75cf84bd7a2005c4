# SPDX-License-Identifier: Apache-2.0
"""Builds of other revisions, for bench/compare.sh: build/compare/COMMIT/release, kept and reused.

The source is a worktree beside it (COMMIT/tree), there only while it is built. A build counts once
it has come to its end (COMMIT/built); a lock keeps a second comparison from building the same.
"""
import contextlib
import fcntl
import os
import shutil
import subprocess

import ending
import rig

PLACE = os.path.join(rig.ROOT, "build", "compare")
PROGRAMS = ("weir", "weir-load", "weir-sink")


def git(*arguments):
    """Git's answer, or None when it fails."""
    done = subprocess.run(["git", *arguments], cwd=rig.ROOT, capture_output=True, text=True,
                          check=False)
    return done.stdout.strip() if done.returncode == 0 else None


def commit_of(name):
    """The whole id of a revision's commit, or None: there is no such revision."""
    if name.startswith("-"):
        return None
    return git("rev-parse", "--verify", "--quiet", name + "^{commit}")


@contextlib.contextmanager
def worktree(commit, path):
    """The revision's files at `path`. What a killed run has left there goes first."""
    shutil.rmtree(path, ignore_errors=True)
    with ending.gone(path):
        try:
            if git("worktree", "add", "--quiet", "--force", "--detach", path, commit) is None:
                raise rig.Broken(f"git worktree add {path} {commit} failed")
            yield
        finally:
            git("worktree", "remove", "--force", path)


def make(commit, place):
    """Builds it with its own release preset."""
    tree, log = os.path.join(place, "tree"), os.path.join(place, "build.log")
    release = os.path.join(place, "release")
    with worktree(commit, tree), open(log, "w", encoding="utf-8") as file:
        for command in (["cmake", "--preset", "release", "-B", release],
                        ["cmake", "--build", release, "--target", *PROGRAMS]):
            if subprocess.run(command, cwd=tree, stdin=subprocess.DEVNULL, stdout=file,
                              stderr=file, check=False).returncode != 0:
                raise rig.Broken(f"{commit[:12]} does not build: see {log}")


def built(commit):
    """The folder with the revision's programs, which are built if they are not there."""
    place = os.path.join(PLACE, commit[:12])
    os.makedirs(place, exist_ok=True)
    with open(os.path.join(place, "lock"), "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        mark = os.path.join(place, "built")
        if not os.path.exists(mark):
            make(commit, place)
            with open(mark, "w", encoding="ascii") as file:
                file.write(commit + "\n")
    return os.path.join(place, "release")
