#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Each rule of tidy.py on a small tree that breaks it, and on the same tree mended or exempted."""
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import tidy  # noqa: E402

SPDX_C = "/* SPDX-License-Identifier: Apache-2.0 */\n"
SPDX_SH = "# SPDX-License-Identifier: Apache-2.0\n"
CMAKE = SPDX_SH + """
weir_room(base THIRD_PARTY weir_jemalloc)
weir_room(sys CALLS base)
weir_room(net CALLS base THIRD_PARTY weir_h2o)
weir_room(app CALLS base sys
          net THIRD_PARTY weir_yaml)
"""
ESSAY = "/*\n * What it is.\n * Its layout.\n * I1.\n * Threads.\n * Full.\n */\n"


def function(lines, name="f", head="static void {}(void)"):
    """A C function of exactly `lines` lines."""
    return head.format(name) + "\n{\n" + "    ;\n" * (lines - 3) + "}\n"


class TidyTest(unittest.TestCase):
    """A temporary tree; `findings` gives the rules that fire, with their files."""

    def setUp(self):
        self.root = tempfile.mkdtemp(prefix="weir-tidy-")
        self.addCleanup(shutil.rmtree, self.root)
        self.put("CMakeLists.txt", CMAKE)

    def put(self, path, text):
        """Writes a file of the tree."""
        where = os.path.join(self.root, path)
        os.makedirs(os.path.dirname(where), exist_ok=True)
        with open(where, "w", encoding="utf-8") as file:
            file.write(text)

    def findings(self):
        """(rule, path) of every finding."""
        found = []
        for finding in tidy.Tidy(self.root).run():
            place, rule, _ = finding.split(": ", 2)
            found.append((rule, place.rsplit(":", 1)[0]))
        return found

    def breaks(self, rule, path, text):
        """The file as given breaks exactly this rule."""
        self.put(path, text)
        self.assertIn((rule, path), self.findings())
        self.assertEqual({found for found, _ in self.findings()}, {rule})

    def keeps(self, path, text):
        """The file as given breaks none."""
        self.put(path, text)
        self.assertEqual(self.findings(), [])

    def module(self, room, stem, header, code=""):
        """A module complete with its test."""
        self.put(f"include/weir/{stem}.h", SPDX_C + header)
        self.put(f"src/{room}/{stem}.c", SPDX_C + code)
        self.put(f"tests/unit/{room}/test_{stem}.c", SPDX_C)


class TextRules(TidyTest):
    """spdx, columns, file-length, note, essay."""

    def test_spdx(self):
        self.breaks("spdx", "src/base/a.c", "int x;\n")
        self.breaks("spdx", "src/base/a.c", "")
        self.breaks("spdx", "src/base/a.c", "\n" + SPDX_C)
        self.keeps("src/base/a.c", SPDX_C)
        self.breaks("spdx", "tests/a.sh", "#!/usr/bin/env bash\necho\n")
        self.keeps("tests/a.sh", "#!/usr/bin/env bash\n" + SPDX_SH)
        self.breaks("spdx", "cmake/a.cmake", "set(x 1)\n")

    def test_columns(self):
        self.breaks("columns", "src/base/a.c", SPDX_C + "int " + "x" * 96 + ";\n")
        self.keeps("src/base/a.c", SPDX_C + "int " + "x" * 95 + ";\n")
        self.keeps("src/base/a.c", SPDX_C + "/* " + "é" * 94 + " */\n")
        self.keeps("src/base/a.c",
                   SPDX_C + "/* tidy: allow columns -- a URL */\nint " + "x" * 99 + ";\n")

    def test_file_length(self):
        self.breaks("file-length", "tests/unit/base/test_a.c", SPDX_C + "int x;\n" * 500)
        self.keeps("tests/unit/base/test_a.c", SPDX_C + "int x;\n" * 499)

    def test_note(self):
        self.breaks("note", "src/base/a.c", SPDX_C + "/* TO" + "DO later */\n")
        self.keeps("src/base/a.c", SPDX_C + "/* mastodon */\n")

    def test_essay(self):
        self.breaks("essay", "src/base/a.c", SPDX_C + "int x;\n" * 150)
        self.breaks("essay", "src/base/a.c", SPDX_C + "/* short */\n" + "int x;\n" * 150)
        self.keeps("src/base/a.c", SPDX_C + ESSAY + "int x;\n" * 150)
        self.keeps("src/base/a.c", SPDX_C + "int x;\n" * 149)


class FunctionRules(TidyTest):
    """function-length, nesting, parameters, goto."""

    def test_length(self):
        self.breaks("function-length", "src/base/a.c", SPDX_C + function(71))
        self.keeps("src/base/a.c", SPDX_C + function(70))
        self.keeps("src/base/a.c",
                   SPDX_C + "/* tidy: allow function-length -- a table */\n" + function(80))
        self.breaks("function-length", "src/base/a.c",
                    SPDX_C + "/* tidy: allow function-length */\n" + function(80))

    def test_exemption_ends_with_its_function(self):
        exempt = "/* tidy: allow function-length -- a table */\n" + function(80)
        self.breaks("function-length", "tests/unit/base/test_a.c",
                    SPDX_C + exempt + "\n" + function(71, "g"))

    def test_nesting(self):
        def nested(levels):
            return (SPDX_C + "static void f(void)\n{\n" + "    if (x) {\n" * levels +
                    "    ;\n" + "    }\n" * levels + "}\n")
        self.breaks("nesting", "src/base/a.c", nested(5))
        self.keeps("src/base/a.c", nested(4))
        initialiser = nested(4).replace("    ;\n", "    int x[] = {\n        1};\n")
        self.keeps("src/base/a.c", initialiser)

    def test_parameters(self):
        head = "static void {}(int a, int b, int c, int d, int e%s)"
        self.breaks("parameters", "src/base/a.c", SPDX_C + function(4, head=head % ", int g"))
        self.keeps("src/base/a.c", SPDX_C + function(4, head=head % ""))
        self.keeps("src/base/a.c", SPDX_C + function(
            4, head="static void {}(void (*g)(int, int, int, int, int), int b)"))

    def test_goto(self):
        back = "static void f(void)\n{\nagain:\n    goto again;\n}\n"
        forward = "static void f(void)\n{\n    goto done;\ndone:\n    ;\n}\n"
        self.breaks("goto", "src/base/a.c", SPDX_C + back)
        self.keeps("src/base/a.c", SPDX_C + forward)


class HeaderRules(TidyTest):
    """header-functions, header-prefix, header-comment, header-room, typedef-struct."""

    def check(self, rule, header):
        """A header of module `ring` breaks exactly this rule (None: no rule)."""
        self.module("base", "ring", header)
        self.assertEqual([found for found, _ in self.findings()], [rule] if rule else [])

    def test_count(self):
        one = "/* Does. */\nvoid weir_ring_f%d(int a);\n"
        self.check(None, "".join(one % n for n in range(8)))
        self.check("header-functions", "".join(one % n for n in range(9)))
        inline = "static inline void weir_ring_g(void)\n{\n}\n"
        self.check(None, "".join(one % n for n in range(8)) + inline)

    def test_prefix(self):
        self.check("header-prefix", "/* Does. */\nvoid weir_rings(void);\n")
        self.check("header-prefix", "static inline int twice(int x)\n{\n    return x;\n}\n")
        self.check(None, "/* Does. */\nvoid weir_ring(void);\n")
        self.check(None, "/* Does. */\nvoid *weir_ring_new(int a,\n    int b) __attribute__((x));"
                         "\n")

    def test_nouns(self):
        nouns = [noun for nouns in tidy.NOUNS.values() for noun in nouns]
        self.assertEqual(len(nouns), len(set(nouns)))
        header = "/* Does. */\nvoid weir_router_new(void);\n"
        self.module("base", "route", header)
        self.assertEqual(self.findings(), [])
        self.check("header-prefix", header)

    def test_comment(self):
        self.check("header-comment", "void weir_ring_f(void);\n")
        self.check("header-comment", "/* Does. */\n\nvoid weir_ring_f(void);\n")
        self.check(None, "/* Both. */\nvoid weir_ring_f(void);\nvoid weir_ring_g(void);\n")

    def test_no_functions_no_rules(self):
        self.check(None, "struct weir_ring {\n    void (*f)(int a, int b);\n};\n"
                         "enum weir_x { A };\ntypedef int (*weir_ring_f)(void);\n"
                         "#define F(x) \\\n    f(x)\n")

    def test_room(self):
        self.breaks("header-room", "include/weir/lost.h",
                    SPDX_C + "/* Does. */\nvoid weir_lost_f(void);\n")

    def test_typedef(self):
        self.breaks("typedef-struct", "src/base/a.c", SPDX_C + "typedef struct x x_t;\n")


class RoomRules(TidyTest):
    """include, third-party, rooms."""

    def test_include(self):
        self.module("sys", "file", "")
        self.breaks("include", "src/base/a.c", SPDX_C + '#include "weir/file.h"\n')
        self.breaks("include", "src/net/a.c", SPDX_C + '#include "weir/file.h"\n')
        os.remove(os.path.join(self.root, "src/base/a.c"))
        os.remove(os.path.join(self.root, "src/net/a.c"))
        self.keeps("src/app/a.c", SPDX_C + '#include "weir/file.h"\n')
        self.keeps("src/base/a.c", SPDX_C + '/* #include "weir/file.h" */\n')

    def test_include_between_headers(self):
        self.module("sys", "file", "")
        self.module("base", "log", '#include "weir/file.h"\n')
        self.assertEqual(self.findings(), [("include", "include/weir/log.h")])

    def test_third_party(self):
        for header, good, bad in (("h2o.h", "net", "app"), ("openssl/ssl.h", "net", "sys"),
                                  ("yaml.h", "app", "base"), ("curl/curl.h", "export", "net"),
                                  ("urcu/rculfhash.h", "conc", "app"), ("zlib.h", None, "codec"),
                                  ("pb_encode.h", "export", "codec"), ("a.pb.h", "export", "codec"),
                                  ("libdeflate.h", "codec", "net"), ("cmocka.h", None, "net"),
                                  ("isa-l/igzip_lib.h", "codec", "export")):
            with self.subTest(header):
                path = f"src/{bad}/a.c"
                self.breaks("third-party", path, SPDX_C + f"#include <{header}>\n")
                os.remove(os.path.join(self.root, path))
                if good:
                    self.keeps(f"src/{good}/a.c", SPDX_C + f"#include <{header}>\n")
        self.keeps("fuzz/codec/fuzz_a.c", SPDX_C + "#include <zlib.h>\n")

    def test_cycle(self):
        calls = (("a", "b"), ("b", "c"), ("c", "a"))
        self.put("CMakeLists.txt", "".join(f"weir_room({x} CALLS {y})\n" for x, y in calls))
        self.assertIn(("rooms", "CMakeLists.txt"), self.findings())


class CallRules(TidyTest):
    """banned, atomics."""

    def test_banned(self):
        for call in ("malloc(1)", "free(p)", "strdup(s)", "strcpy(a, b)", "strcat(a, b)",
                     "sprintf(a, b)", "gets(a)", "strtok(a, b)", "atoi(a)", "alloca(1)", "rand()",
                     "assert(x)", "localtime(&t)", "strerror(e)", "system(s)", "popen(s, m)",
                     "time(NULL)", "usleep(1)"):
            with self.subTest(call):
                self.breaks("banned", "src/net/a.c", SPDX_C + f"int x = {call};\n")
                self.keeps("src/net/a.c", SPDX_C + f"/* {call} */\nchar *s = \"{call}\";\n")
        self.keeps("src/net/a.c", SPDX_C + "int x = y->free(p) + y.time(1) + weir_free(p);\n")
        self.keeps("src/net/a.c", SPDX_C + "int x = snprintf(a, 1, b) + assert_true(x);\n")
        self.keeps("src/net/a.c", SPDX_C + "free(p); /* tidy: allow banned -- libc gave it */\n")

    def test_banned_by_place(self):
        self.keeps("src/base/mem.c", SPDX_C + "void *p = malloc(1);\n")
        self.keeps("tests/race/conc/race_a.c", SPDX_C + "int x = usleep(1);\n")

    def test_atomics(self):
        self.breaks("atomics", "src/net/a.c", SPDX_C + "int x = atomic_load(&y);\n")
        self.breaks("atomics", "src/net/a.c", SPDX_C + "int x = atomic_fetch_add(&y, 1);\n")
        self.breaks("atomics", "src/net/a.c", SPDX_C + "int x = __sync_fetch_and_add(&y, 1);\n")
        self.keeps("src/net/a.c", SPDX_C + "int x = atomic_load_explicit(&y, relaxed);\n")


class PresenceRules(TidyTest):
    """test-missing, fuzzer-missing, symbols, format."""

    def test_test_missing(self):
        self.put("include/weir/a.h", SPDX_C)
        self.breaks("test-missing", "src/base/a.c", SPDX_C)
        self.keeps("tests/unit/base/test_a.c", SPDX_C)

    def test_fuzzer_missing(self):
        for entry in tidy.FUZZED[1:]:
            self.put(f"fuzz/x/fuzz_{entry}.c", SPDX_C)
        self.breaks("fuzzer-missing", "fuzz/CMakeLists.txt", SPDX_SH)
        self.keeps(f"fuzz/x/fuzz_{tidy.FUZZED[0]}.c", SPDX_C)

    @unittest.skipIf(shutil.which("gcc") is None, "no gcc")
    def test_symbols(self):
        for name, count in (("weir_a_f", 0), ("helper", 1)):
            self.put("a.c", f"void {name}(void);\nvoid {name}(void)\n{{\n}}\n")
            build = os.path.join(self.root, name)
            os.mkdir(build)
            subprocess.run(["gcc", "-c", "a.c", "-o", "a.o"], cwd=self.root, check=True)
            subprocess.run(["ar", "rc", f"{build}/libweir_a.a", "a.o"], cwd=self.root, check=True)
            self.assertEqual(len(tidy.check_symbols(build)), count)

    @unittest.skipIf(shutil.which("clang-format") is None, "no clang-format")
    def test_format(self):
        self.put(".clang-format", "BasedOnStyle: LLVM\n")
        self.put("src/base/a.c", SPDX_C + "int  x;\n")
        self.assertEqual(len(tidy.check_format(tidy.Tidy(self.root))), 1)
        self.put("src/base/a.c", SPDX_C + "int x;\n")
        self.assertEqual(tidy.check_format(tidy.Tidy(self.root)), [])


if __name__ == "__main__":
    unittest.main()
