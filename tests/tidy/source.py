# SPDX-License-Identifier: Apache-2.0
"""Reads C files the shallow way the tidy rules need: no parser, only what .clang-format guarantees.

With braces set as Linux does, a function's body opens with a line that is `{` and closes with the
next line that is `}`; everything at brace depth 0 that ends in `;` is a declaration. Comments and
literals are blanked first (same length, same lines), so that no rule trips over their text.
"""
import re

TOKEN = re.compile(
    r"""/\*.*?\*/ | //[^\n]* | "(?:\\.|[^"\\\n])*" | '(?:\\.|[^'\\\n])*'""", re.S | re.X)
PREPROCESSOR = re.compile(r"^[ \t]*#(?:[^\n\\]|\\.|\\\n)*", re.M)
ALLOW = re.compile(r"tidy: allow ([a-z-]+) -- \S")
CALLEE = re.compile(r"\b(\w*[a-z]\w*)\s*\(")  # a name that is no macro's


def blank(match):
    """The same text as spaces; its line breaks stay, and a literal keeps its quotes."""
    text = match.group(0)
    hidden = re.sub(r"[^\n]", " ", text)
    if text[0] in "\"'":
        return text[0] + hidden[1:-1] + text[0]
    return hidden


def group_end(text, start):
    """Where the parenthesis that opens at `start` closes (its index), or the end of the text."""
    depth = 0
    for index in range(start, len(text)):
        if text[index] == "(":
            depth += 1
        elif text[index] == ")":
            depth -= 1
            if depth == 0:
                return index
    return len(text)


def parameter_count(inside):
    """How many parameters stand between a declaration's parentheses."""
    if inside.strip() in ("", "void"):
        return 0
    depth, count = 0, 1
    for letter in inside:
        if letter in "([{":
            depth += 1
        elif letter in ")]}":
            depth -= 1
        elif letter == "," and depth == 0:
            count += 1
    return count


def signature(text):
    """(name, parameter count) of the function a declaration's text is about, or None."""
    for match in CALLEE.finditer(text):
        if match.group(1).startswith("__") or match.group(1) in ("_Static_assert", "static_assert"):
            continue
        start = match.end() - 1
        return match.group(1), parameter_count(text[start + 1:group_end(text, start)])
    return None


class Function:
    """A definition: `first` is its first line, `body` its `{` line, `last` its `}` line, from 1."""

    def __init__(self, name, parameters, first, body, last):
        self.name, self.parameters = name, parameters
        self.first, self.body, self.last = first, body, last
        self.lines = last - first + 1


class Prototype:
    """A declaration in a header; `first` is its first line, from 1."""

    def __init__(self, name, parameters, first, last):
        self.name, self.parameters, self.first, self.last = name, parameters, first, last


class Source:
    """One file: `lines` as written, `code` the same lines with comments and literals blanked."""

    def __init__(self, path, text):
        self.path, self.text = path, text
        self.lines = text.splitlines()
        self.is_c = path.endswith((".c", ".h"))
        stripped = TOKEN.sub(blank, text) if self.is_c else text
        self.code = stripped.splitlines()
        self.declarations = PREPROCESSOR.sub(blank, stripped).splitlines() if self.is_c else []
        self.functions = self.find_functions() if self.is_c else []

    def find_functions(self):
        """Every definition at the left margin."""
        found, body = [], None
        for number, line in enumerate(self.declarations, 1):
            if line.rstrip() == "{":
                body = number
            elif line.rstrip() == "}" and body is not None:
                first = body
                while first > 1 and self.is_signature_line(self.declarations[first - 2]):
                    first -= 1
                about = signature(" ".join(self.declarations[first - 1:body - 1]))
                if about is not None:
                    found.append(Function(about[0], about[1], first, body, number))
                body = None
        return found

    @staticmethod
    def is_signature_line(line):
        """Whether a line above the `{` still belongs to the declaration."""
        line = line.rstrip()
        return line != "" and not line.endswith((";", "}", "*/"))

    def prototypes(self):
        """Every function declaration at brace depth 0 (inline definitions are none)."""
        found, depth, first, text = [], 0, 0, ""
        for number, line in enumerate(self.declarations, 1):
            if text == "" and line.strip() != "" and depth == 0:
                first = number
            for letter in line:
                if letter == "{":
                    depth += 1
                elif letter == "}":
                    depth -= 1
                text += letter
                if depth == 0 and letter == "}" and "(" in text.split("{")[0]:
                    text = ""  # the end of an inline definition
                elif depth == 0 and letter == ";":
                    self.add_prototype(found, text, first, number)
                    text = ""
            text = "" if text.strip() == "" else text + " "
        return found

    @staticmethod
    def add_prototype(found, text, first, last):
        """Keeps a declaration that declares a function."""
        if "{" in text or "(" not in text or text.split()[0] == "typedef":
            return
        about = signature(text)
        if about is not None:
            found.append(Prototype(about[0], about[1], first, last))

    def nesting(self, function):
        """(depth, line) of the deepest block inside a function; initialisers are no blocks."""
        stack, depth, deepest, where = [], 0, 0, function.body
        for number in range(function.body + 1, function.last):
            line = self.code[number - 1]
            for index, letter in enumerate(line):
                if letter == "{":
                    before = line[:index].rstrip()
                    block = before.endswith((")", "else", "do", ":")) and line[:index] != before
                    stack.append(block or before == "")
                    depth += stack[-1]
                    if depth > deepest:
                        deepest, where = depth, number
                elif letter == "}" and stack:
                    depth -= stack.pop()
        return deepest, where

    def function_at(self, number):
        """The function a line is in, or None."""
        for function in self.functions:
            if function.first <= number <= function.last:
                return function
        return None

    def allows(self, rule, first=None, last=None):
        """Rule Zero: whether a comment exempts these lines (or, without lines, the file) from a
        rule. The comment may stand on them, in the three lines or the whole comment above them."""
        if first is None:
            start, last = 1, len(self.lines)
        else:
            start = max(1, first - 3)
            above = first - 1
            while above >= 1 and self.lines[above - 1].lstrip().startswith(("*", "/*")):
                start, above = min(start, above), above - 1
        return any(rule == match.group(1) for line in self.lines[start - 1:last]
                   for match in ALLOW.finditer(line))
