#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What docs/threat-model.md says and no test program can see.

    claims.py [ROOT]     a line for each finding; exits 1 when there is one

* each test that the page names, as `file: test, test` (below tests/, or fuzz/), is there: who
  renames or removes one finds the sentence that rested on it
* nanopb allocates nothing: Debian's library can, for fields that are pointers, so none is one
* of libh2o nothing is used that its version 2.2.5 does badly: its proxy, its PROXY lines, its file
  buffers, its timers; and nothing switches on early data or TCP's fast open
"""
import glob
import os
import re
import sys

PAGE = "docs/threat-model.md"
KINDS = "unit|prop|race|e2e|tidy|fault|sim|model|fuzz"
NAMED = re.compile(rf"`((?:{KINDS})/[\w./-]+)(?:: ([\w., ]+))?`")
NAMES_LEAST = 100  # fewer: their form has changed, and nothing is looked at any more
NEVER = (
    (r"\bFT_POINTER\b|\bPB_ENABLE_MALLOC\b|\bpb_release\b", "nanopb would allocate"),
    (r"\bh2o_proxy_|\bexpect_proxy_line\b", "libh2o's proxy and PROXY lines are not used"),
    (r"\bh2o_timeout_(?:init|link)\b", "libh2o's timers run on the wall clock"),
    (r"\bTCP_FASTOPEN\b|set_max_early_data\([^,]+,(?!\s*0\b)", "no early data"),
    (r"\bH2O_ALPN_|\bh2o_http2_|h2o_ssl_register_alpn", "no HTTP/2 from libh2o"),
)


def text_of(path):
    """A file."""
    with open(path, encoding="utf-8", errors="replace") as file:
        return file.read()


def check_names(root):
    """Findings, and how many names were looked up."""
    findings, count = [], 0
    for path, names in NAMED.findall(text_of(os.path.join(root, PAGE))):
        count += 1
        whole = os.path.join(root, path if path.startswith("fuzz/") else f"tests/{path}")
        if not os.path.isfile(whole):
            findings.append(f"{PAGE}: there is no {path}")
            continue
        text = text_of(whole)
        for name in filter(None, (part.strip() for part in names.split(","))):
            count += 1
            for part in name.split("."):
                if not re.search(rf"\b{re.escape(part)}\b", text):
                    findings.append(f"{PAGE}: {path} has no {part}")
    return findings, count


def without_comments(text):
    """C without its comments, which may well say what is not used."""
    return re.sub(r"/\*.*?\*/|//[^\n]*", " ", text, flags=re.S)


def check_never(root):
    """Words that must not be in the program's sources."""
    findings = []
    for path in sorted(glob.glob(os.path.join(root, "src/**/*"), recursive=True)):
        if not path.endswith((".c", ".h", ".options")):
            continue
        text = without_comments(text_of(path))
        for pattern, why in NEVER:
            for found in re.findall(pattern, text):
                findings.append(f"{os.path.relpath(path, root)}: {found}: {why}")
    options = text_of(os.path.join(root, "src/net/loop.c"))
    if not re.search(r"mmap_settings\.threshold = SIZE_MAX;", options):
        findings.append("src/net/loop.c: libh2o would put large buffers into files")
    return findings


def main(root):
    """Prints what was found."""
    findings, count = check_names(root)
    if count < NAMES_LEAST:
        findings.append(f"{PAGE}: only {count} names of tests, at least {NAMES_LEAST}")
    findings += check_never(root)
    print("\n".join(findings) or f"claims: {count} names, no findings")
    return 1 if findings else 0


if __name__ == "__main__":
    here = os.path.dirname(os.path.abspath(__file__))
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else os.path.join(here, "../..")))
