#!/usr/bin/env python3
"""tidy.py - enforces the marked rules of the house style, so that they need no goodwill.

    tests/tidy.py              check the tree: file:line: message, exit 1 if there is any
    tests/tidy.py --self-test  every rule must find its own bad snippet, and no good one
    tests/tidy.py --rfc        RFC sections that code cites and no test does

It reads C as text, in the house's layout: what stands at column 0 outside braces is a
declaration. It judges layout and words; what needs a compiler (-Wvla, prototypes) is the
compiler's. Rule: a message names the file, the line and the rule that was broken.
"""
import fnmatch
import os
import re
import sys
import tempfile

FOLDERS = {"engine", "net", "route", "store", "bench", "tests", "tools"}
LAYERS = ("engine", "net", "route", "store")
NOT_OURS = {"build", "node_modules"}

# What a layer's file may include, as patterns.
MAY_INCLUDE = {
    "engine": ["engine/*", "net/*", "route/*", "store/*"],
    "route": ["route/*", "net/json.h", "net/bytes.h"],
    "net": ["net/*"],
    "store": ["store/*"],
}
# Sockets, rings and threads are the engine's alone.
ENGINE_ONLY = {"liburing.h", "pthread.h", "threads.h", "sys/socket.h", "sys/epoll.h",
               "netinet/in.h", "netdb.h"}

# The heap is also allowed in functions that boot or shut down (by the house's verbs), in
# those that only such functions of the same file call, and on a line that says
# /* off core */ where only the admin core can come by.
BOOT_VERBS = re.compile(r"(^|_)(init|fini|boot|make|open|close|adopt)(_|$)")
OFF_CORE_MARK = "/* off core"

# Files that no core thread runs: start-up, configuration, admin, store thread, resolver,
# commands. They may use the heap and mutexes. engine/heap* is the heap itself.
OFF_CORE = ["engine/admin/*", "engine/main.c", "engine/boot*.c", "engine/cmd*.c",
            "engine/conf*.c", "engine/explain*.c", "engine/front.c", "engine/heap*.c",
            "engine/host.c", "engine/keeper.c", "engine/keyring.c", "engine/look.c",
            "engine/metrics.c", "engine/rota.c", "engine/tables.c", "engine/webhook*.c",
            "route/catalog*.c", "store/*.c"]
# Of store/, what a core thread calls in the middle of a request.
ON_CORE = ["store/cells.c", "store/journal.c"]
# State that cannot have an owner: hooks of libraries come without a context.
MAY_HAVE_STATE = ["engine/main.c", "engine/heap*.c"]

FUNCTION_LINES_MAX = 70
FILE_CODE_LINES_MAX = 800
COLUMNS_MAX = 96
CHAIN_MAX = 4

BANNED = re.compile(r"(?<![\w.>])(alloca|strcpy|stpcpy|strcat|v?sprintf|strtok(?:_r)?|ato[ifl]l?"
                    r"|gets)\s*\(")
HEAP = re.compile(r"(?<![\w.>])(malloc|calloc|realloc|reallocarray|free|strn?dup|v?asprintf"
                  r"|aligned_alloc|posix_memalign|getline)\s*\(")
MUTEX = re.compile(r"\b(pthread_(?:mutex|rwlock|cond|spin|barrier)_\w+|mtx_\w+|cnd_\w+"
                   r"|sem_(?:wait|timedwait|init))\s*\(")
LATER = re.compile(r"\b(TODO|FIXME|XXX)\b")  # tidy: names the banned words
INCLUDE = re.compile(r'^\s*#\s*include\s*(["<])([^">]+)[">]', re.M)
NOT_A_FUNCTION = re.compile(r"^\s*(typedef|struct\s+\w+\s*$|union\s+\w+\s*$|enum\b[^(]*$"
                            r"|_Static_assert|static_assert|#|extern\s+\"C\")")
ALLOW = re.compile(r"(?:^|/)(?:tidy\.py)$")


def blank(match):
    """The match with everything but line ends turned into blanks."""
    return re.sub(r"[^\n]", " ", match.group(0))


TOKEN = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)


def blank_token(match):
    """Blank a comment; keep the quotes of a literal so that the code keeps its shape."""
    text = match.group(0)
    if text[0] in "\"'":
        return text[0] + " " * (len(text) - 2) + text[-1]
    return blank(match)


class Source:
    """One C file: its text, and its code without comments and literals."""

    def __init__(self, path, text):
        self.path = path
        self.layer = path.split("/")[0]
        self.text = text
        self.lines = text.split("\n")
        self.code = TOKEN.sub(blank_token, text)
        self.code_lines = self.code.split("\n")
        self.includes = []
        for m in INCLUDE.finditer(text):
            line = text.count("\n", 0, m.start(2)) + 1
            self.includes.append((line, m.group(1), m.group(2)))

    def is_in(self, patterns):
        return any(fnmatch.fnmatch(self.path, p) for p in patterns)

    def on_core(self):
        """True when a core thread may run this file."""
        if self.layer not in LAYERS:
            return False
        return self.is_in(ON_CORE) or not self.is_in(OFF_CORE)

    def declarations(self):
        """Yield (first line, last line, text) of each declaration outside braces.

        A text ends with ';', or with '{}' where a body was left out. Preprocessor lines,
        with their continuations, are skipped."""
        depth, first, text, macro = 0, 0, "", False
        for number, line in enumerate(self.code_lines, 1):
            if macro or re.match(r"\s*#", line):
                macro = line.rstrip().endswith("\\")
                continue
            for c in line + "\n":
                if c == "{":
                    depth += 1
                    if depth == 1:
                        text += "{}"
                elif c == "}":
                    depth = max(0, depth - 1)
                    if depth == 0 and is_function(text):
                        yield first, number, text.strip()
                        text = ""
                elif depth == 0 and c == ";":
                    yield first, number, text.strip() + ";"
                    text = ""
                elif depth == 0:
                    if not text.strip() and not c.isspace():
                        first = number
                    text += c


def is_function(text):
    """True when text, a declaration up to its body, heads a function."""
    head = text.split("{}")[0]
    return "(" in head and "=" not in head and not NOT_A_FUNCTION.match(head.strip())


def name_of(text):
    """Name of the function that text declares or defines."""
    m = re.search(r"(\w+)\s*\(", re.sub(r"__attribute__\s*\(\(.*?\)\)", "", text))
    return m.group(1) if m else "?"


def is_prototype(text):
    """True when text declares (not defines) a function."""
    if not text.endswith(";") or "{}" in text or "=" in text:
        return False
    if NOT_A_FUNCTION.match(text) or "(" not in text:
        return False
    return not re.match(r"[\w\s]*\(\s*\*", text)  # a function pointer variable


def is_mutable_variable(text):
    """True when a declaration outside braces makes a variable that code may change."""
    if is_function(text) or is_prototype(text) or not text.endswith(";"):
        return False
    if re.match(r"(typedef|extern|_Static_assert|static_assert|;)", text):
        return False
    head = re.split(r"[=;\[]", text)[0].replace("{}", " ").strip()
    if re.match(r"(struct|union|enum)\b\s*\w*$", head):  # a type, or announces one
        return False
    if not re.search(r"\w", head):
        return False
    declarator = head.rsplit("*", 1)[1] if "*" in head else head
    return not re.search(r"\bconst\b", declarator)


# --- rules: each yields (line, message) for one source

def rule_layers(src, tree):
    for line, kind, name in src.includes:
        if src.layer not in LAYERS:
            continue
        if kind == "<":
            if src.layer in ("net", "route") and name in ENGINE_ONLY:
                yield line, "layer: <%s> is for engine only" % name
        elif "/" not in name:
            yield line, "layer: include \"%s\" by its path from the root" % name
        elif not any(fnmatch.fnmatch(name, p) for p in MAY_INCLUDE[src.layer]):
            yield line, "layer: %s may not include %s" % (src.layer, name)


def rule_function_length(src, tree):
    for first, last, text in src.declarations():
        if is_function(text) and text.endswith("{}") and last - first + 1 > FUNCTION_LINES_MAX:
            yield first, "function of %d lines, at most %d" % (last - first + 1,
                                                               FUNCTION_LINES_MAX)


def rule_file_length(src, tree):
    count = sum(1 for line in src.code_lines if line.strip())
    if count > FILE_CODE_LINES_MAX:
        yield 1, "file of %d code lines, at most %d" % (count, FILE_CODE_LINES_MAX)


def rule_columns(src, tree):
    for number, line in enumerate(src.lines, 1):
        if len(line.expandtabs(8)) > COLUMNS_MAX:
            yield number, "line of %d columns, at most %d" % (len(line.expandtabs(8)),
                                                              COLUMNS_MAX)


def rule_chain(src, tree):
    if not src.path.endswith(".c"):
        return  # a header counts through the files that include it
    chain = longest_chain(src, tree, ())
    if len(chain) > CHAIN_MAX:
        yield 1, "include chain of %d, at most %d: %s" % (len(chain), CHAIN_MAX,
                                                          " > ".join(chain))


def longest_chain(src, tree, above):
    best = ()
    for _, kind, name in src.includes:
        if kind == '"' and name in tree and name.endswith(".h") and name not in above:
            chain = (name,) + longest_chain(tree[name], tree, above + (name,))
            best = max(best, chain, key=len)
    return best


def rule_documented(src, tree):
    if not src.path.endswith(".h"):
        return
    for first, _, text in src.declarations():
        if not is_prototype(text) and not (is_function(text) and text.endswith("{}")):
            continue
        above = src.lines[first - 2].strip() if first > 1 else ""
        if not (above.endswith("*/") or above.startswith("//")):
            yield first, "prototype of %s without a comment directly above" % name_of(text)


def find_words(src, pattern, message):
    for number, line in enumerate(src.code_lines, 1):
        for m in pattern.finditer(line):
            yield number, message % m.group(1)


def rule_banned(src, tree):
    yield from find_words(src, BANNED, "%s is banned")


def rule_heap(src, tree):
    if not src.on_core():
        return
    boots = boot_functions(src)
    for line, message in find_words(src, HEAP, "%s in a file that a core thread runs"):
        if OFF_CORE_MARK not in src.lines[line - 1] and not any(line in b for b in boots):
            yield line, message


def boot_functions(src):
    """Lines (as ranges) of the functions that run at boot or shut-down only."""
    functions = {name_of(text): range(first, last + 1)
                 for first, last, text in src.declarations()
                 if is_function(text) and text.endswith("{}")}
    body = {name: set(re.findall(r"\w+", "\n".join(src.code_lines[r.start - 1:r.stop - 1])))
            for name, r in functions.items()}
    boots = {name for name in functions if BOOT_VERBS.search(name)}
    while True:
        more = set()
        for name in set(functions) - boots:
            users = {user for user in functions if user != name and name in body[user]}
            if users and users <= boots:
                more.add(name)
        if not more:
            return [functions[name] for name in boots]
        boots |= more


def rule_mutex(src, tree):
    if src.on_core():
        yield from find_words(src, MUTEX, "%s in a file that a core thread runs")


def rule_state(src, tree):
    if src.layer not in LAYERS or src.is_in(MAY_HAVE_STATE):
        return
    for first, _, text in src.declarations():
        if is_mutable_variable(text):
            yield first, "mutable variable at file scope"
    for number, line in enumerate(src.code_lines, 1):
        m = re.match(r"\s+static\s+(?!_Static_assert)(.*)", line)
        if m and "(" not in m.group(1) and is_mutable_variable(m.group(1).rstrip(" {") + ";"):
            yield number, "mutable static variable in a function"


def rule_assert(src, tree):
    yield from find_words(src, re.compile(r"\b(NDEBUG)\b"), "%s is banned: asserts stay on")


def rule_later(src, tree):
    for number, line in enumerate(src.lines, 1):
        m = LATER.search(line)
        if m:
            yield number, "%s: do it now, or leave it out" % m.group(1)


RULES = [rule_layers, rule_function_length, rule_file_length, rule_columns, rule_chain,
         rule_documented, rule_banned, rule_heap, rule_mutex, rule_state, rule_assert,
         rule_later]
# Of these, what also holds for scripts, which are not C.
SCRIPT_RULES = [rule_columns, rule_later]


# --- the tree

def read_tree(root):
    """Sources by path, and the top-level folders that are there."""
    sources, scripts, folders = {}, {}, set()
    for here, names, files in os.walk(root):
        rel = os.path.relpath(here, root)
        names[:] = sorted(n for n in names if not n.startswith(".") and n not in NOT_OURS)
        if rel == ".":
            folders = set(names)
            names[:] = [n for n in names if n in FOLDERS]
        for name in sorted(files):
            path = os.path.normpath(os.path.join(rel, name))
            is_c = name.endswith((".c", ".h", ".def"))
            if not is_c and not name.endswith((".py", ".sh")) and path not in (
                    "Makefile", "tests/run", "tools/setup", "tools/run"):
                continue
            if ALLOW.search(path):
                continue
            with open(os.path.join(here, name), encoding="utf-8", errors="replace") as file:
                (sources if is_c else scripts)[path] = Source(path, file.read())
    return sources, scripts, folders


def check(root):
    """All messages about the tree at root, sorted."""
    sources, scripts, folders = read_tree(root)
    messages = []
    for src in sources.values():
        for rule in RULES:
            messages += [(src.path, line, text) for line, text in rule(src, sources)]
    for src in scripts.values():
        for rule in SCRIPT_RULES:
            messages += [(src.path, line, text) for line, text in rule(src, sources)]
    for name in sorted(folders - FOLDERS):
        messages.append((name, 1, "folder: top-level folders are " + " ".join(sorted(FOLDERS))))
    for name in sorted(FOLDERS - folders):
        messages.append((name, 1, "folder: missing"))
    return sorted(messages)


def untested(root):
    """Files of net and route without a unit test of their name, or of their noun's."""
    unit = os.path.join(root, "tests", "unit")
    tests = [n[5:-2] for n in (os.listdir(unit) if os.path.isdir(unit) else [])
             if n.startswith("test_") and n.endswith(".c")]
    for path in sorted(read_tree(root)[0]):
        if path.endswith(".c") and path.split("/")[0] in ("net", "route"):
            names = os.path.basename(path)[:-2], path.split("/", 1)[1][:-2].replace("/", "_")
            if not any(n == t or n.startswith(t + "_") for n in names for t in tests):
                yield path


# --- RFC sections

CITED = re.compile(r"RFC (\d{3,5}),? (?:sections? |\u00a7)"
                   r"((?:\d+(?:\.\d+)*|[A-Z]\.\d+(?:\.\d+)*)(?:(?:, | and |, and )\d+(?:\.\d+)*)*)")


def citations(text):
    """Set of 'RFC n section m' in text, whose comment lines may be wrapped."""
    flat = re.sub(r"\s*\n\s*(?:\*|//)?\s*", " ", text)
    found = set()
    for m in CITED.finditer(flat):
        for section in re.split(r", and |, | and ", m.group(2)):
            found.add((int(m.group(1)), section.rstrip(".")))
    return found


def rfc(root):
    sources = read_tree(root)[0]
    code, tests = {}, set()
    for path, src in sources.items():
        if path.startswith("tests/"):
            tests |= citations(src.text)
        elif src.layer in LAYERS:
            for section in citations(src.text):
                code.setdefault(section, path)
    missing = sorted(set(code) - tests)
    for number, section in missing:
        print("RFC %d section %s: %s, no test" % (number, section, code[number, section]))
    print("rfc: %d sections in code, %d without a test" % (len(code), len(missing)))
    return 0


# --- self-test

GOOD_H = """/* a.h - a good header. */
#ifndef NET_A_H
#define NET_A_H
#include "net/bytes.h"
struct a { int b; void (*on_done)(int n); };
enum { A_MAX = 3 };
/* Adds. */
int a_add(struct a *a,
          int n);
/* Twice. */
static inline int a_twice(int n)
{
    return n * 2;
}
extern const char a_names[];
typedef void (*a_fn)(int);
/* By attribute. */
void a_gone(const char *f, ...) __attribute__((format(printf, 1, 2)));
#endif
"""
GOOD_C = """/* a.c - good. "malloc(3)" in a text and strcpy() in a comment are fine. */
#include "net/a.h"
static const char *const names[] = {"malloc(1)", "static int x;"};
static const struct { int a; } table[] = {{1}, {2}};
static int (*const steps[])(int) = {0};
static_assert(sizeof(int) == 4, "int");
struct later;
#define TWICE(x) \\
    do { (x) += (x); } while (0)
int a_add(struct a *a, int n)
{
    static const int one = 1;
    return a->free(n) + one + snprintf(0, 0, "") + names[0][0] + table[0].a;
}
"""
LONG = "int f(void)\n{\n%s}\n"

BAD = [  # (path, text, part of the message, line)
    ("net/b.c", '#include "route/plan.h"\n', "net may not include", 1),
    ("store/b.c", '#include "net/bytes.h"\n', "store may not include", 1),
    ("route/b.c", '\n#include "net/http.h"\n', "route may not include", 2),
    ("engine/b.c", '#include "tools/x.h"\n', "engine may not include", 1),
    ("net/b.c", '#include "bytes.h"\n', "by its path", 1),
    ("net/b.c", "#include <pthread.h>\n", "engine only", 1),
    ("net/b.c", LONG % ("    ;\n" * 68), "function of 71 lines", 1),
    ("net/b.c", "int a;\n" * 0 + "extern int a;\n" * 801, "file of 801", 1),
    ("net/b.c", "/* " + "x" * 91 + " */\n", "line of 97", 1),
    ("net/b.h", "int b_get(void);\n", "prototype of b_get", 1),
    ("net/b.h", "/* One. */\nint b_get(void);\nint b_put(void);\n", "prototype of b_put", 3),
    ("net/b.h", "/* Apart. */\n\nint b_get(void);\n", "prototype of b_get", 3),
    ("net/b.h", "static inline int b_one(void)\n{\n    return 1;\n}\n", "of b_one", 1),
    ("tools/b.c", "int f(void)\n{\n    strcpy(a, b);\n}\n", "strcpy is banned", 3),
    ("net/b.c", "int f(void)\n{\n    return sprintf(a, b);\n}\n", "sprintf is banned", 3),
    ("net/b.c", "int f(void)\n{\n    return atoi(a);\n}\n", "atoi is banned", 3),
    ("net/b.c", "int f(void)\n{\n    return alloca(3);\n}\n", "alloca is banned", 3),
    ("net/b.c", "int f(void)\n{\n    return strcat(a, b);\n}\n", "strcat is banned", 3),
    ("net/b.c", "int f(void)\n{\n    return strtok(a, b);\n}\n", "strtok is banned", 3),
    ("net/b.c", "int f(void)\n{\n    free(a);\n}\n", "free in a file", 3),
    ("net/b.c", "int b_opened(void)\n{\n    free(a); /* not off core */\n}\n", "free in a file", 3),
    ("net/b.c", "static int map(void)\n{\n    malloc(1);\n}\nint b_open(void)\n{\n    map();\n"
     "}\nint b_step(void)\n{\n    map();\n}\n", "malloc in a file", 3),
    ("store/journal.c", "int f(void)\n{\n    malloc(1);\n}\n", "malloc in a file", 3),
    ("engine/b.c", "int f(void)\n{\n    pthread_mutex_lock(m);\n}\n", "pthread_mutex_lock", 3),
    ("net/b.c", "static int count;\n", "mutable variable", 1),
    ("net/b.c", "\nstatic const char *name = \"x\";\n", "mutable variable", 2),
    ("net/b.c", "static struct { int a; } all[3];\n", "mutable variable", 1),
    ("net/b.c", "_Thread_local int count = 3;\n", "mutable variable", 1),
    ("net/b.c", "int f(void)\n{\n    static int n;\n}\n", "mutable static", 3),
    ("net/b.c", "#undef NDEBUG\n", "NDEBUG is banned", 1),
    ("net/b.c", "/* TODO later */\n", "TODO", 1),
    ("tests/b.py", "# FIXME\n", "FIXME", 1),
    ("lib/b.c", "", "folder: top-level", 1),
]
CHAIN = [("net/h%d.h" % i, '#include "net/h%d.h"\n' % (i + 1)) for i in range(1, 5)] + [
    ("net/h5.h", ""), ("net/b.c", '#include "net/h1.h"\n')]
FINE = [("net/b.c", LONG % ("    ;\n" * 67)), ("net/b.c", "extern int a;\n" * 800),
        ("net/b.c", "/* " + "x" * 90 + " */\n"),
        ("engine/main.c", "static int count;\n"), ("engine/admin/b.c", "int f(void)\n{\n"
         "    free(a);\n}\n"), ("store/db.c", "int f(void)\n{\n    malloc(1);\n}\n"),
        ("net/b.c", "void b_close(void)\n{\n    free(a);\n}\nint init_b(void)\n{\n"
         "    malloc(1);\n}\nint f(void)\n{\n    free(a); /* off core */\n}\n"),
        ("net/b.c", "static int map(void)\n{\n    malloc(1);\n}\nint b_open(void)\n{\n    map();\n"
         "}\n"),
        ("net/h9.h", ""), ("route/b.c", '#include "net/json.h"\n')]


def try_tree(files):
    with tempfile.TemporaryDirectory() as root:
        for folder in FOLDERS:
            os.mkdir(os.path.join(root, folder))
        for path, text in files:
            os.makedirs(os.path.dirname(os.path.join(root, path)), exist_ok=True)
            with open(os.path.join(root, path), "w", encoding="utf-8") as file:
                file.write(text)
        return check(root)


def self_test():
    wrong = 0
    for path, text, message, line in BAD:
        found = try_tree([(path, text)])
        if not any(message in m and at == line for _, at, m in found) or len(found) != 1:
            print("self-test: %r should say %r at %d: %r" % (text[:60], message, line, found))
            wrong += 1
    goods = [[("net/a.h", GOOD_H), ("net/a.c", GOOD_C)], CHAIN[1:-1]] + [[f] for f in FINE]
    for files in goods:
        found = try_tree(files)
        if found:
            print("self-test: nothing is wrong with %r: %r" % (files[0][0], found))
            wrong += 1
    found = try_tree(CHAIN)
    if not any("include chain of 5" in m for _, _, m in found):
        print("self-test: chain not found: %r" % found)
        wrong += 1
    if citations("/* RFC 9112\n * section 7.1, RFC 9110 sections 5.1 and 5.2. */") != {
            (9112, "7.1"), (9110, "5.1"), (9110, "5.2")}:
        print("self-test: citations")
        wrong += 1
    print("tidy: self-test %s, %d cases" % ("failed" if wrong else "passed",
                                            len(BAD) + len(goods) + 2))
    return 1 if wrong else 0


def main():
    root = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    if sys.argv[1:] == ["--self-test"]:
        return self_test()
    if sys.argv[1:] == ["--rfc"]:
        return rfc(root)
    if sys.argv[1:]:
        print(__doc__)
        return 2
    messages = check(root)
    for path, line, text in messages:
        print("%s:%d: %s" % (path, line, text))
    for path in untested(root):
        print("%s:1: note: has no unit test of its own" % path)
    print("tidy: %d messages" % len(messages))
    return 1 if messages else 0


if __name__ == "__main__":
    sys.exit(main())
