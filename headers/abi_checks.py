"""Reads our nvml.h and derives from it every check of check-abi.sh. Two modes:

  abi_checks.py c    OUR_HEADER REAL_HEADER OUT_DIR   writes OUT_DIR/checks.c, which compiles only
                                                      if the two headers agree
  abi_checks.py java OUR_HEADER RAW_DIR               compares jextract's output with our header

Our header must consist wholly of the forms below; anything else is an error, so that no
declaration can go unchecked.
"""

import re
import sys
from collections import namedtuple
from pathlib import Path

Header = namedtuple("Header", "constants enums groups handles functions")

FORMS = re.compile(
    r"""\s*(?:
      \#\s*(?:ifndef|define)\s+ZEUSD_NVML_H\n | \#endif\s*\Z
    | \#define\s+(?P<macro>(?:NVML_|nvml)\w+)\s+(?P<value>\d+)[ \t]*\n
    | typedef\s+enum\s*\{(?P<enumerators>[^}]*)\}\s*(?P<enum>\w+);
    | typedef\s+(?P<kind>struct|union)\s*\{(?P<fields>[^}]*)\}\s*(?P<group>\w+);
    | typedef\s+(?P<pointee>struct\s+\w+)\s*\*(?P<handle>\w+);
    | (?P<returns>[\w\s]+[\s*])(?P<function>nvml\w+)\((?P<params>[^()]+)\);
    )""",
    re.VERBOSE,
)


class Bad(Exception):
    pass


def match(pattern, text):
    found = re.fullmatch(pattern, text.strip())
    if not found:
        raise Bad(f"cannot read: {text.strip()!r}")
    return found.groups()


def strip_comments(text):
    return re.sub(r"/\*.*?\*/", " ", text, flags=re.S)


def parse(path):
    """constants {name: value}, enums [name], groups {name: (kind, [(type, name, bound)])},
    handles {name: pointee}, functions {name: (return type, [parameter type])}."""
    header, text, at = Header({}, [], {}, {}, {}), strip_comments(path.read_text()), 0
    while text[at:].strip():
        form = FORMS.match(text, at)
        if not form:
            raise Bad("cannot read: " + text[at:].strip().split("\n")[0])
        at = form.end()
        if form["macro"]:
            header.constants[form["macro"]] = int(form["value"])
        elif form["enum"]:
            header.enums.append(form["enum"])
            for item in form["enumerators"].split(","):
                name, value = match(r"(\w+)\s*=\s*(\d+)", item)
                header.constants[name] = int(value)
        elif form["group"]:
            fields = [
                match(r"([\w\s]+?)\s+(\w+)(?:\[(\w+)\])?", field)
                for field in form["fields"].strip().rstrip(";").split(";")
            ]
            header.groups[form["group"]] = (form["kind"], fields)
        elif form["handle"]:
            header.handles[form["handle"]] = form["pointee"]
        elif form["function"]:
            params = form["params"].strip()
            types = [] if params == "void" else [
                match(r"(.*?[\s*])\w+", param)[0].strip() for param in params.split(",")
            ]
            header.functions[form["function"]] = (form["returns"].strip(), types)
    if not (header.constants and header.enums and header.groups and header.functions):
        raise Bad(f"{path}: no constants, no enums, no structs or no functions")
    return header


def ours(text):
    """Our names beside NVIDIA's in one translation unit."""
    return re.sub(r"\b(nvml|NVML_)", r"our_\1", text)


def c_checks(our_path, real_path, out):
    header, asserts = parse(our_path), []

    def check(condition, what):
        asserts.append(f'_Static_assert({condition}, "{what}");')

    def same_type(real, text):
        return f"__builtin_types_compatible_p({real}, {text})"

    for name in header.constants:
        check(f"(long long){name} == (long long){ours(name)}", f"value of {name}")
    for name in header.enums:
        check(f"sizeof({name}) == sizeof({ours(name)})", f"size of {name}")
        check(f"(({name})-1 < 0) == (({ours(name)})-1 < 0)", f"sign of {name}")
    for name, (_, fields) in header.groups.items():
        for of in "sizeof", "_Alignof":
            check(f"{of}({name}) == {of}({ours(name)})", f"{of} {name}")
        for ctype, field, bound in fields:
            real, our = f"(({name} *)0)->{field}", f"(({ours(name)} *)0)->{ours(field)}"
            what = f"{name}.{field}"
            offsets = f"offsetof({name}, {field}) == offsetof({ours(name)}, {ours(field)})"
            check(offsets, f"offset of {what}")
            check(f"sizeof({real}) == sizeof({our})", f"size of {what}")
            declared = f"{ctype}[{bound}]" if bound else ctype
            check(same_type(f"__typeof__({real})", declared), f"type of {what}")
    for name, pointee in header.handles.items():
        check(same_type(name, f"{pointee} *"), f"type of {name}")
    for name, (returns, params) in header.functions.items():
        signature = f"{returns} ({', '.join(params) or 'void'})"
        check(same_type(f"__typeof__({name})", f"__typeof__({signature})"), f"signature of {name}")

    members = sum(len(fields) for _, fields in header.groups.values())
    counts = f"{len(header.functions)} functions, {len(header.constants)} constants, {members} fields"
    (out / "ours.h").write_text(ours(strip_comments(our_path.read_text())))
    includes = "<stddef.h>", "<stdio.h>", f'"{real_path.resolve()}"', '"ours.h"'
    main = f'int main(void) {{ return puts("{counts} checked") < 0; }}'
    (out / "checks.c").write_text("\n".join([*(f"#include {i}" for i in includes), *asserts, main, ""]))

    known = set(re.findall(r"\b(NVML_(?:SUCCESS|ERROR_\w+))\s*=", real_path.read_text()))
    for name in sorted(known - header.constants.keys()):
        print(f"note: our nvmlReturn_t lacks {name}", file=sys.stderr)


# What jextract calls a C type on 64-bit Linux.
CARRIERS = {
    "char": "C_CHAR", "short": "C_SHORT", "int": "C_INT", "long": "C_LONG", "long long": "C_LONG_LONG",
    "double": "C_DOUBLE",
}


def java_layout(header, ctype, bound=None):
    if ctype in header.groups:
        layout = f"{ctype}.layout()"
    elif "*" in ctype or ctype in header.handles:
        layout = "Nvml.C_POINTER"
    else:
        layout = "Nvml." + CARRIERS["int" if ctype in header.enums else re.sub("^(un)?signed ", "", ctype)]
    return f"MemoryLayout.sequenceLayout({header.constants[bound]}, {layout})" if bound else layout


SIZES = {"C_CHAR": 1, "C_SHORT": 2, "C_INT": 4, "C_LONG": 8, "C_LONG_LONG": 8, "C_DOUBLE": 8, "C_POINTER": 8}


def size_and_alignment(header, ctype, bound=None):
    """Of a C type on 64-bit Linux, in bytes."""
    if ctype in header.groups:
        kind, fields = header.groups[ctype]
        parts = [size_and_alignment(header, of, many) for of, _, many in fields]
        alignment = max(part[1] for part in parts)
        at = 0
        for size, its_alignment in parts:
            start = 0 if kind == "union" else -(-at // its_alignment) * its_alignment
            at = max(at, start + size)
        return -(-at // alignment) * alignment, alignment
    size = SIZES[java_layout(header, ctype).removeprefix("Nvml.")]
    return size * (header.constants[bound] if bound else 1), size


def java_members(header, name):
    """What jextract makes of the members of a struct or union: layouts with names, and padding."""
    kind, fields = header.groups[name]
    members, at = [], 0
    for ctype, field, bound in fields:
        size, alignment = size_and_alignment(header, ctype, bound)
        if kind == "struct" and at % alignment:
            members.append(("padding", alignment - at % alignment))
            at += alignment - at % alignment
        members.append((java_layout(header, ctype, bound), field))
        at += size
    whole = size_and_alignment(header, name)[0]
    if kind == "struct" and at < whole:
        members.append(("padding", whole - at))
    return members


def member(line):
    padding = re.fullmatch(r"\s*MemoryLayout\.paddingLayout\((\d+)\),?", line)
    return ("padding", int(padding[1])) if padding else match(r'(.*)\.withName\("(\w+)"\),?', line)


def java_checks(our_path, raw):
    header, wrong = parse(our_path), []
    main = (raw / "Nvml.java").read_text()

    def compare(what, expected, found):
        if expected != found:
            wrong.append(f"{what}: expected {expected}, found {found}")

    constants = re.findall(r"private static final \w+ ((?:NVML_|nvml)\w+) = \(\w+\)(\d+)L;", main)
    compare("constants", header.constants, {name: int(value) for name, value in constants})
    descriptor = r'FunctionDescriptor\.of\(([^()]*)\);\s*[\w ]+ ADDR = Nvml\.findOrThrow\("(\w+)"\)'
    functions = re.findall(descriptor, main)
    compare(
        "functions",
        {name: [java_layout(header, t) for t in (returns, *params)]
         for name, (returns, params) in header.functions.items()},
        {name: [part.strip() for part in layouts.split(",")] for layouts, name in functions},
    )
    compare("files", {"Nvml", *header.groups}, {path.stem for path in raw.glob("*.java")})
    for name, (kind, _) in header.groups.items():
        layout = rf'\$LAYOUT = MemoryLayout\.{kind}Layout\(\n(.*?)\n    \)\.withName\("{name}"\);'
        body = re.search(layout, (raw / f"{name}.java").read_text(), re.S)
        found = body and [member(line) for line in body[1].split("\n")]
        compare(f"{kind} {name}", java_members(header, name), found)
    if wrong:
        raise Bad("jextract's output differs from our header (generate it anew)\n" + "\n".join(wrong))
    counts = f"{len(functions)} functions, {len(constants)} constants, {len(header.groups)} layouts"
    print(f"{counts} of jextract's output checked")


if __name__ == "__main__":
    mode, *paths = sys.argv[1:]
    try:
        {"c": c_checks, "java": java_checks}[mode](*map(Path, paths))
    except Bad as problem:
        sys.exit(f"abi_checks.py: {problem}")
