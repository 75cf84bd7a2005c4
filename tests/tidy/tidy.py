#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The house style as a test. A finding is one line: file:line: rule: what is wrong, what to do.

    tests/tidy/tidy.py [--root DIR]             the rules below over the whole tree
    tests/tidy/tidy.py --symbols BUILD_DIR      exported symbols of each room's library (nm)
    tests/tidy/tidy.py --format                 clang-format --dry-run over every C file

A rule is broken on purpose with a comment on the line, in the function, or right above it (for
rules about a whole file: anywhere in it), which must give its reason:

    /* tidy: allow function-length -- one table of 90 rows reads better whole */

Rules: essay, function-length, file-length, columns, nesting, parameters, goto, header-functions,
header-prefix, header-comment, header-room, include, third-party, banned, atomics, typedef-struct,
note, spdx, test-missing, fuzzer-missing, symbols, format, rooms.
"""
import argparse
import os
import re
import shutil
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from source import Source  # noqa: E402

ESSAY_OVER = 150
FUNCTION_LINES = 70
FILE_LINES = 500
COLUMNS = 100
NESTING = 4
PARAMETERS = 5
HEADER_FUNCTIONS = 8

FOLDERS = ("include", "src", "tests", "fuzz", "bench", "deploy", "cmake", ".ci")
SUFFIXES = (".c", ".h", ".py", ".sh", ".cmake", "CMakeLists.txt", ".ci/run")

# Modules that are a header and nothing else; every other public header has src/<room>/<stem>.c.
HEADER_ONLY = {"status": "base", "bytes": "base", "cursor": "base"}

# Modules whose functions are named after the things they hold; each noun belongs to one module.
# Names that a library looks for, and why they are ours to define.
FOREIGN_SYMBOLS = {"malloc_conf"}  # jemalloc's settings, in src/base/mem.c

NOUNS = {
    "buffer_hints": ("buffer",), "encode": ("batch",), "http_framing": ("http_body",),
    "keys": ("key",), "namespace": ("namespaces",), "pipeline": ("worker",),
    "point": ("runs", "resource", "scope", "metric"), "response": ("outcome",),
    "retry_window": ("retry",), "route": ("router",), "segment": ("segments",),
}

# Where a library's headers may be included: (pattern, places); a place is a room or a folder.
THIRD_PARTY = (
    (re.compile(r"h2o(\.h|/)"), ("net", "admin", "bench/sink")),
    (re.compile(r"openssl/"), ("net", "admit", "probe")),
    (re.compile(r"libdeflate\.h"), ("codec", "bench/micro")),
    (re.compile(r"isa-l(\.h|/)"), ("codec",)),
    (re.compile(r"zstd\.h"), ("codec",)),
    (re.compile(r"urcu(\.h|/|-)"), ("conc",)),
    (re.compile(r"jemalloc/"), ("base",)),
    (re.compile(r"curl/"), ("export", "probe")),
    (re.compile(r"(.*\.)?pb(_encode|_decode|_common)?\.h$"), ("export", "fuzz")),
    (re.compile(r"yaml\.h"), ("app",)),
    (re.compile(r"seccomp\.h"), ("guard",)),
    (re.compile(r"zlib\.h"), ("fuzz",)),
    (re.compile(r"cmocka\.h"), ("tests",)),
)

# (names, places where they are allowed, what to use instead)
BANNED = (
    (("malloc", "calloc", "realloc", "free", "strdup", "strndup", "aligned_alloc",
      "posix_memalign"), ("base",), "weir/mem.h"),
    (("strcpy", "stpcpy", "strcat", "strncpy", "strncat"), (),
     "weir/buf.h, or memcpy with a known size"),
    (("sprintf", "vsprintf"), (), "snprintf, or weir/buf.h"),
    (("gets",), (), "weir/file.h"),
    (("strtok", "strtok_r"), (), "weir/cursor.h"),
    (("atoi", "atol", "atoll", "atof"), (),
     "a parser that reports errors (weir/json.h, strtoull checked)"),
    (("alloca", "__builtin_alloca"), (), "an arena or a bounded array"),
    (("rand", "srand", "random", "drand48"), (), "weir/rand.h"),
    (("assert",), (), "WEIR_ASSERT (weir/panic.h); in tests cmocka's assert_*"),
    (("localtime", "localtime_r", "ctime", "asctime", "gmtime"), (),
     "gmtime_r: all times are UTC"),
    (("strerror", "strerror_r"), (), "strerrordesc_np"),
    (("system", "popen"), (), "nothing: Weir starts no other program"),
    (("time", "gettimeofday"), ("base",), "weir/clock.h, or time as an argument"),
    (("sleep", "usleep", "nanosleep"), ("tests", "bench"),
     "a timed wait on what you are waiting for"),
)
BANNED_BY_NAME = {name: (places, instead) for names, places, instead in BANNED for name in names}
BANNED_CALL = re.compile(r"(?<![\w.>])(%s)\s*\(" % "|".join(map(re.escape, BANNED_BY_NAME)))

ATOMIC = re.compile(r"\b(atomic_(?:load|store|exchange|fetch_\w+|compare_exchange_\w+|flag_\w+)|"
                    r"__atomic_\w+|__sync_\w+)\s*\(")
NOTE = re.compile(r"\b(TO" + r"DO|FIX" + r"ME|XX" + r"X)\b")
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')
GOTO = re.compile(r"\bgoto\s+(\w+)\s*;")
SPDX = re.compile(r"^(/\*|//|#) SPDX-License-Identifier: Apache-2\.0( \*/)?$")

FUZZED = ("http_head", "http_framing", "proxy_header", "gzip", "zstd", "envelope", "base64", "body",
          "json", "json_number", "cwjson", "otlp", "otlp_plain", "config", "attributes", "tenant",
          "otlp_response", "grpc_status", "oauth_response", "frame", "frame_segment", "notes",
          "recover", "letter", "source", "server")


class Rooms:
    """The rooms and whom each may call, as CMakeLists.txt says."""

    def __init__(self, cmake):
        self.calls = {}
        for name, rest in re.findall(r"^\s*weir_room\((\w+)([^)]*)\)", cmake, re.M):
            calls = rest.partition("CALLS")[2].partition("THIRD_PARTY")[0]
            self.calls[name] = set(calls.split())

    def cycle(self):
        """A room that (through others) calls itself, or None."""
        for room in self.calls:
            seen, stack = set(), list(self.calls[room])
            while stack:
                below = stack.pop()
                if below == room:
                    return room
                if below not in seen:
                    seen.add(below)
                    stack.extend(self.calls.get(below, ()))
        return None


class Tidy:
    """One run over one tree; `findings` is the result."""

    def __init__(self, root):
        self.root = root
        self.findings = []
        self.sources = [self.read(path) for path in self.paths()]
        self.rooms = Rooms(self.read("CMakeLists.txt").text)
        self.room_of = dict(HEADER_ONLY)
        for source in self.sources:
            match = re.fullmatch(r"src/(\w+)/(\w+)\.c", source.path)
            if match:
                self.room_of[match.group(2)] = match.group(1)

    def paths(self):
        """Every file the rules are about, relative to the root, sorted."""
        found = []
        for folder in FOLDERS:
            for where, folders, names in os.walk(os.path.join(self.root, folder)):
                folders[:] = [name for name in folders if name not in ("__pycache__", "corpus")]
                for name in names:
                    path = os.path.relpath(os.path.join(where, name), self.root)
                    if path.endswith(SUFFIXES):
                        found.append(path)
        return sorted(found)

    def read(self, path):
        """One file; bytes that are no UTF-8 are kept visible."""
        where = os.path.join(self.root, path)
        with open(where, encoding="utf-8", errors="replace") as file:
            return Source(path, file.read())

    def report(self, path, line, rule, text):
        """Adds a finding."""
        self.findings.append(f"{path}:{line}: {rule}: {text}")

    def run(self):
        """Every rule over every file."""
        room = self.rooms.cycle()
        if room is not None:
            self.report("CMakeLists.txt", 1, "rooms", f"room {room} calls itself through others")
        for source in self.sources:
            self.check_spdx(source)
            self.check_size(source)
            self.check_notes(source)
            if source.is_c:
                self.check_essay(source)
                self.check_functions(source)
                self.check_includes(source)
                self.check_calls(source)
            if re.fullmatch(r"include/weir/\w+\.h", source.path):
                self.check_header(source)
        self.check_tests()
        return self.findings

    # -- rules about text ------------------------------------------------------------------

    def check_spdx(self, source):
        """The licence line comes first (after a shell's or Python's first line)."""
        lines = source.lines[1:2] if source.text.startswith("#!") else source.lines[:1]
        if not lines or not SPDX.match(lines[0]):
            self.report(source.path, 1, "spdx",
                        "the first line is not SPDX-License-Identifier: Apache-2.0")

    def check_size(self, source):
        """500 lines, 100 columns. CMake files have no fixed width."""
        if len(source.lines) > FILE_LINES and not source.allows("file-length"):
            self.report(source.path, FILE_LINES + 1, "file-length",
                        f"{len(source.lines)} lines, at most {FILE_LINES}: cut it into modules")
        if source.path.endswith((".cmake", "CMakeLists.txt")):
            return
        for number, line in enumerate(source.lines, 1):
            if len(line) > COLUMNS and not source.allows("columns", number, number):
                self.report(source.path, number, "columns",
                            f"{len(line)} columns, at most {COLUMNS}")

    def check_notes(self, source):
        """Notes to oneself belong into issues."""
        for number, line in enumerate(source.lines, 1):
            match = NOTE.search(line)
            if match and not source.allows("note", number, number):
                self.report(source.path, number, "note",
                            f"{match.group(1)}: do it, or open an issue")

    def check_essay(self, source):
        """A long .c file opens with an essay of at least five lines."""
        if not source.path.startswith("src/") or not source.path.endswith(".c"):
            return
        if len(source.lines) <= ESSAY_OVER or source.allows("essay"):
            return
        match = re.match(r"\s*/\*(.*?)\*/", "\n".join(source.lines[1:]), re.S)
        if not match or match.group(1).count("\n") < 5:
            self.report(source.path, 2, "essay", f"over {ESSAY_OVER} lines: open with an essay "
                        "(what it is, layout drawn, invariants, threads, when full or corrupt)")

    # -- rules about functions -------------------------------------------------------------

    def check_functions(self, source):
        """Length, nesting, parameters, and goto only forward."""
        for function in source.functions:
            if function.lines > FUNCTION_LINES:
                self.function_finding(source, function, "function-length",
                                      f"{function.lines} lines, at most {FUNCTION_LINES}")
            depth, where = source.nesting(function)
            if depth > NESTING:
                self.function_finding(source, function, "nesting",
                                      f"{depth} levels in line {where}, at most {NESTING}")
            if function.parameters > PARAMETERS:
                self.function_finding(source, function, "parameters", f"{function.parameters}, "
                                      f"at most {PARAMETERS}: options struct")
            self.check_goto(source, function)

    def function_finding(self, source, function, rule, text):
        """Reports about a function unless a comment in or above it allows it."""
        if not source.allows(rule, function.first, function.last):
            self.report(source.path, function.first, rule, f"{function.name}: {text}")

    def check_goto(self, source, function):
        """A goto's label stands below it."""
        for number in range(function.body, function.last + 1):
            for match in GOTO.finditer(source.code[number - 1]):
                label = re.compile(r"^\s*%s\s*:" % match.group(1))
                if not any(label.match(line) for line in source.code[number:function.last]):
                    self.function_finding(source, function, "goto",
                                          f"line {number} jumps back to {match.group(1)}")

    def check_header(self, source):
        """At most 8 functions, each with the module's prefix, few parameters and a comment."""
        stem = os.path.basename(source.path)[:-2]
        prototypes = source.prototypes()
        if prototypes and stem not in self.room_of and not source.allows("header-room"):
            self.report(source.path, 1, "header-room", f"no src/<room>/{stem}.c implements it")
        if len(prototypes) > HEADER_FUNCTIONS and not source.allows("header-functions"):
            self.report(source.path, 1, "header-functions",
                        f"{len(prototypes)} functions, at most {HEADER_FUNCTIONS}: two modules?")
        nouns = "|".join((stem, *NOUNS.get(stem, ())))
        for function in prototypes + source.functions:
            lines = (function.first, function.last)
            if not re.match(rf"weir_({nouns})(_|$)", function.name) and not source.allows(
                    "header-prefix", *lines):
                self.report(source.path, function.first, "header-prefix",
                            f"{function.name} does not begin with weir_{stem}_")
        commented_until = 0
        for prototype in prototypes:
            lines = (prototype.first, prototype.last)
            if prototype.parameters > PARAMETERS and not source.allows("parameters", *lines):
                self.report(source.path, prototype.first, "parameters", f"{prototype.name}: "
                            f"{prototype.parameters}, at most {PARAMETERS}: options struct")
            above = source.lines[prototype.first - 2].strip()
            comment = above.endswith("*/") and above[0] in "/*" and not SPDX.match(above)
            if comment or prototype.first == commented_until + 1:
                commented_until = prototype.last
            elif not source.allows("header-comment", *lines):
                self.report(source.path, prototype.first, "header-comment",
                            f"{prototype.name} has no comment right above it")

    # -- rules about who may use whom ------------------------------------------------------

    @staticmethod
    def place(path):
        """(folder, room) of a path: ("src", "net"), ("tests", "net"), ("fuzz", None)."""
        parts = path.split("/")
        if parts[0] == "src" and len(parts) == 3:
            return "src", parts[1]
        if parts[0] == "tests" and len(parts) == 4:
            return "tests", parts[2]
        if parts[0] == "bench" and len(parts) == 3:
            return "bench", "bench/" + parts[1]
        return parts[0], None

    def check_includes(self, source):
        """The include DAG, and third-party headers only in their rooms."""
        folder, room = self.place(source.path)
        if folder == "include":
            room = self.room_of.get(os.path.basename(source.path)[:-2])
        for number, line in enumerate(source.lines, 1):
            match = INCLUDE.match(line)
            if not match or not source.code[number - 1].strip():
                continue
            name = match.group(2)
            if name.startswith("weir/"):
                self.check_room(source, number, folder, room, name)
            else:
                self.check_third_party(source, number, (folder, room), name)

    def check_room(self, source, number, folder, room, name):
        """Code of a room includes its own headers and those of the rooms it CALLS."""
        stem = os.path.basename(name)[:-2]
        owner = self.room_of.get(stem)
        if folder not in ("src", "include") or room is None or owner is None or owner == room:
            return
        called = owner in self.rooms.calls.get(room, ())
        if not called and not source.allows("include", number, number):
            self.report(source.path, number, "include", f"{name} is of room {owner}, which room "
                        f"{room} does not CALL (CMakeLists.txt)")

    def check_third_party(self, source, number, place, name):
        """A third-party header only in the rooms that own it."""
        for pattern, places in THIRD_PARTY:
            if pattern.match(name):
                inside = place[0] if place[0] in ("tests", "fuzz") else place[1]
                if inside not in places and not source.allows("third-party", number, number):
                    self.report(source.path, number, "third-party",
                                f"{name} belongs to {' and '.join(places)}")
                return

    def check_calls(self, source):
        """Banned calls, implicit memory orders, typedef struct."""
        folder, room = self.place(source.path)
        for number, line in enumerate(source.code, 1):
            for match in BANNED_CALL.finditer(line):
                places, instead = BANNED_BY_NAME[match.group(1)]
                if folder in places or room in places:
                    continue
                if not source.allows("banned", number, number):
                    self.report(source.path, number, "banned", f"{match.group(1)}: use {instead}")
            for match in ATOMIC.finditer(line):
                name = match.group(1)
                if not name.endswith("_explicit") and not source.allows("atomics", number, number):
                    self.report(source.path, number, "atomics", f"{name}: use atomic_*_explicit, "
                                "say the order and its partner")
            if re.search(r"\btypedef\s+struct\b", line) and not source.allows(
                    "typedef-struct", number, number):
                self.report(source.path, number, "typedef-struct", "say struct where it is used")

    # -- rules about what must be there ----------------------------------------------------

    def check_tests(self):
        """Each module has its test program, each decoder its fuzzer."""
        known = {source.path for source in self.sources}
        for source in self.sources:
            match = re.fullmatch(r"src/(\w+)/(\w+)\.c", source.path)
            if not match or f"include/weir/{match.group(2)}.h" not in known:
                continue
            test = f"tests/unit/{match.group(1)}/test_{match.group(2)}.c"
            if test not in known and not source.allows("test-missing"):
                self.report(source.path, 1, "test-missing", f"{test} does not exist")
        fuzzers = {os.path.basename(path) for path in known if path.startswith("fuzz/")}
        for entry in FUZZED if "fuzz/CMakeLists.txt" in known else ():
            if f"fuzz_{entry}.c" not in fuzzers:
                self.report("fuzz/CMakeLists.txt", 1, "fuzzer-missing",
                            f"fuzz_{entry}.c does not exist")


def check_symbols(build):
    """Exported symbols of every room's library begin with weir_."""
    findings = []
    for name in sorted(os.listdir(build)):
        if not re.fullmatch(r"libweir_[a-z]+\.a", name):
            continue
        path = os.path.join(build, name)
        output = subprocess.run(["nm", "-g", "--defined-only", "-f", "posix", path], check=True,
                                capture_output=True, text=True).stdout
        for line in output.splitlines():
            symbol = line.split(" ")[0]
            ours = symbol.startswith(("weir_", "__")) or symbol in FOREIGN_SYMBOLS
            if " " in line and not ours:
                findings.append(f"{name}:1: symbols: {symbol} is exported without weir_")
    return findings


def check_format(tidy):
    """clang-format agrees with every C file; skipped where it is not installed."""
    if shutil.which("clang-format") is None:
        print("format: skipped, clang-format is not installed")
        return []
    paths = [source.path for source in tidy.sources if source.is_c]
    if not paths:
        return []
    result = subprocess.run(["clang-format", "--dry-run", "-Werror", "--ferror-limit=1", *paths],
                            cwd=tidy.root, capture_output=True, text=True, check=False)
    found = re.findall(r"^([^:\n]+):(\d+):\d+: error: ", result.stderr, re.M)
    findings = [f"{path}:{line}: format: run clang-format -i on it" for path, line in found]
    if result.returncode != 0 and not findings:
        findings.append(f".clang-format:1: format: {result.stderr.strip()[:200]}")
    return findings


def main():
    """The command line; exit code 1 when there is a finding."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    here = os.path.dirname(os.path.abspath(__file__))
    parser.add_argument("--root", default=os.path.join(here, "../.."))
    parser.add_argument("--symbols", metavar="BUILD_DIR")
    parser.add_argument("--format", action="store_true")
    options = parser.parse_args()
    if options.symbols:
        findings = check_symbols(options.symbols)
    elif options.format:
        findings = check_format(Tidy(os.path.abspath(options.root)))
    else:
        findings = Tidy(os.path.abspath(options.root)).run()
    for finding in findings:
        print(finding)
    print(f"tidy: {len(findings)} findings")
    sys.exit(1 if findings else 0)


if __name__ == "__main__":
    main()
