"""Reads our nvml.h or amdsmi.h and derives from it every check of check-abi.sh. Three modes:

  abi_checks.py c      OUR_HEADER REAL_HEADER OUT_DIR   writes OUT_DIR/checks.c, which compiles only
                                                        if the two headers agree
  abi_checks.py ctypes OUR_HEADER PACKAGE EDITION       compares with AMD's bindings for Python, whose
                                                        folder this is
  abi_checks.py java   OUR_HEADER RAW_DIR               compares jextract's output with our header

Our header must consist wholly of the forms below; anything else is an error, so that no
declaration can go unchecked.
"""

import ctypes
import re
import sys
from collections import namedtuple
from pathlib import Path

Header = namedtuple("Header", "constants enums groups handles functions")

# The class that jextract makes of a header, by the header's name.
CLASSES = {"nvml": "Nvml", "amdsmi": "AmdSmi"}

FORMS = re.compile(
    r"""\s*(?:
      \#\s*(?:ifndef|define)\s+ZEUSD_(?:NVML|AMDSMI)_H\n | \#endif\s*\Z
    | \#define\s+(?P<macro>(?:NVML_|nvml|AMDSMI_|ZEUSD_AMDSMI_)\w+)\s+(?P<value>\d+)[ \t]*\n
    | typedef\s+enum\s*\{(?P<enumerators>[^}]*)\}\s*(?P<enum>\w+);
    | typedef\s+(?P<kind>struct|union)\s*\{(?P<fields>[^}]*)\}\s*(?P<group>\w+);
    | typedef\s+(?P<pointee>struct\s+\w+|void)\s*\*(?P<handle>\w+);
    | (?P<returns>[\w\s]+[\s*])(?P<function>(?:nvml|amdsmi_)\w+)\((?P<params>[^()]+)\);
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
                match(r"([\w\s]+?(?:\s|\s\*))\s*(\w+)(?:\[(\w+)\])?", field)
                for field in form["fields"].strip().rstrip(";").split(";")
            ]
            fields = [(ctype.strip(), field, bound) for ctype, field, bound in fields]
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
    "float": "C_FLOAT", "double": "C_DOUBLE",
}

SIZES = {
    "C_CHAR": 1, "C_SHORT": 2, "C_INT": 4, "C_LONG": 8, "C_LONG_LONG": 8, "C_FLOAT": 4, "C_DOUBLE": 8,
    "C_POINTER": 8,
}


def carrier(header, ctype):
    if "*" in ctype or ctype in header.handles:
        return "C_POINTER"
    return CARRIERS["int" if ctype in header.enums else re.sub("^(un)?signed ", "", ctype)]


def count(header, bound):
    """How many elements an array has."""
    return int(bound) if bound.isdigit() else header.constants[bound]


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
    size = SIZES[carrier(header, ctype)]
    return size * (count(header, bound) if bound else 1), size


# ---- AMD's bindings for Python ----


def load_ctypes(package):
    """Runs AMD's generated bindings with a library that has whatever they ask for."""

    class Function:
        argtypes = restype = None

    class Library:
        def __getattr__(self, name):
            function = Function()
            setattr(self, name, function)
            return function

    ctypes.CDLL = lambda *_, **__: Library()
    module = {"__name__": "amdsmi_wrapper", "__file__": str(package / "amdsmi_wrapper.py")}
    exec(compile((package / "amdsmi_wrapper.py").read_text(), "amdsmi_wrapper.py", "exec"), module)
    text = (package / "amdsmi_interface.py").read_text()
    for name, value in re.findall(r"^(AMDSMI_\w+) = (\d+)$", text, re.M):
        module.setdefault(name, int(value))
    return module


def shape(ctype):
    """Size and kind of a ctypes type; of a pointer, of what it leads to."""
    if ctype is None:
        return "void"
    if ctype in (ctypes.c_void_p, ctypes.c_char_p) or issubclass(ctype, ctypes._Pointer):
        to = getattr(ctype, "_type_", None)
        to = None if isinstance(to, str) else to
        return f"pointer to {'a struct' if to and issubclass(to, ctypes.Structure) else shape(to)}"
    if issubclass(ctype, ctypes.Union):
        return f"unsigned {ctypes.sizeof(ctype)}"
    code = ctype._type_
    kind = "float" if code in "fd" else "unsigned" if code.isupper() else "signed"
    return f"{kind} {ctypes.sizeof(ctype)}"


def our_shape(header, ctype):
    """The same of a C type of our header."""
    if ctype.endswith("*"):
        to = ctype[:-1].removeprefix("const ").strip()
        return "pointer to " + ("a struct" if to in header.groups else our_shape(header, to))
    if ctype in header.handles:
        return "pointer to void"
    if ctype == "void":
        return "void"
    kind = "float" if ctype in ("float", "double") else "signed"
    if ctype in header.enums or ctype.startswith("unsigned "):
        kind = "unsigned"
    return f"{kind} {SIZES[carrier(header, ctype)]}"


def same_shape(ours, theirs):
    # What depends on the edition has a void * with us. A text's bytes may have either sign.
    if ours == "pointer to void" and theirs == "pointer to a struct":
        return True
    return ours.replace("unsigned 1", "signed 1") == theirs.replace("unsigned 1", "signed 1")


def ctypes_checks(our_path, package, edition):
    header, real, wrong = parse(our_path), load_ctypes(package), []
    edition, fields_compared = str(edition), 0

    def compare(what, ours, theirs, same=lambda a, b: a == b):
        if not same(ours, theirs):
            wrong.append(f"{what}: ours {ours}, AMD's {theirs}")

    for name, value in header.constants.items():
        if room := re.fullmatch(r"ZEUSD_(\w+)_ROOM", name):
            struct = real[room[1].lower() + "_t"]
            compare(f"room of {name}", value, ctypes.sizeof(struct), lambda ours, its: ours >= its)
        else:
            compare(f"value of {name}", value, real.get(name))
    bits = [field[2] for field in real["struct_amdsmi_bdf_t"]._fields_]
    compare("bits of a PCI address", [3, 5, 8, 48], bits)
    for name in header.enums:
        compare(f"type of {name}", "unsigned 4", shape(real[name]))
    for name in header.handles:
        compare(f"type of {name}", "pointer to void", shape(real[name]))
    for name, (_, fields) in header.groups.items():
        form = re.fullmatch(r"(\w+?)(?:_(\d+|head))?_t", name)
        if form[2] and form[2].isdigit() and form[2] != edition:
            continue
        struct, at = real[form[1] + "_t"], 0
        theirs = [field for field, *_ in struct._fields_ if not field.startswith("PADDING_")]
        names = [field for _, field, _ in fields]
        compare(f"fields of {name}", names, theirs[: len(names)] if form[2] == "head" else theirs)
        for ctype, field, bound in fields:
            size, alignment = size_and_alignment(header, ctype, bound)
            at = -(-at // alignment) * alignment
            its = getattr(struct, field, None)
            compare(f"offset of {name}.{field}", at, its and its.offset)
            compare(f"size of {name}.{field}", size, its and its.size)
            at += size
            fields_compared += 1
        if form[2] != "head":
            compare(f"sizeof {name}", size_and_alignment(header, name)[0], ctypes.sizeof(struct))
    for name, (returns, params) in header.functions.items():
        function = real.get(name)
        if function is None:
            wrong.append(f"signature of {name}: AMD has no such function")
            continue
        theirs = [shape(of) for of in (function.restype, *(function.argtypes or []))]
        ours = [our_shape(header, of) for of in (returns, *params)]
        compare(f"signature of {name}", ours, theirs,
                lambda a, b: len(a) == len(b) and all(map(same_shape, a, b)))
    if wrong:
        raise Bad("\n".join(["our header differs from AMD's edition " + edition, *wrong]))
    print(f"{len(header.functions)} functions, {len(header.constants)} constants, "
          f"{fields_compared} fields checked")


# ---- jextract's output ----


def java_layout(header, java, ctype, bound=None):
    layout = f"{ctype}.layout()" if ctype in header.groups else f"{java}.{carrier(header, ctype)}"
    return f"MemoryLayout.sequenceLayout({count(header, bound)}, {layout})" if bound else layout


def java_members(header, java, name):
    """What jextract makes of the members of a struct or union: layouts with names, and padding."""
    kind, fields = header.groups[name]
    members, at = [], 0
    for ctype, field, bound in fields:
        size, alignment = size_and_alignment(header, ctype, bound)
        if kind == "struct" and at % alignment:
            members.append(("padding", alignment - at % alignment))
            at += alignment - at % alignment
        members.append((java_layout(header, java, ctype, bound), field))
        at += size
    whole = size_and_alignment(header, name)[0]
    if kind == "struct" and at < whole:
        members.append(("padding", whole - at))
    return members


def member(line):
    padding = re.fullmatch(r"\s*MemoryLayout\.paddingLayout\((\d+)\),?", line)
    return ("padding", int(padding[1])) if padding else match(r'(.*)\.withName\("(\w+)"\),?', line)


def java_checks(our_path, raw):
    header, wrong, java = parse(our_path), [], CLASSES[our_path.stem]
    main = (raw / f"{java}.java").read_text()

    def compare(what, expected, found):
        if expected != found:
            wrong.append(f"{what}: expected {expected}, found {found}")

    constants = re.findall(r"private static final \w+ (\w+) = \(\w+\)(\d+)L;", main)
    compare("constants", header.constants, {name: int(value) for name, value in constants})
    descriptor = r'FunctionDescriptor\.of\(([^()]*)\);\s*[\w ]+ ADDR = ' + java + r'\.findOrThrow\("(\w+)"\)'
    functions = re.findall(descriptor, main)
    compare(
        "functions",
        {name: [java_layout(header, java, t) for t in (returns, *params)]
         for name, (returns, params) in header.functions.items()},
        {name: [part.strip() for part in layouts.split(",")] for layouts, name in functions},
    )
    compare("files", {java, *header.groups}, {path.stem for path in raw.glob("*.java")})
    for name, (kind, _) in header.groups.items():
        layout = rf'\$LAYOUT = MemoryLayout\.{kind}Layout\(\n(.*?)\n    \)\.withName\("{name}"\);'
        body = re.search(layout, (raw / f"{name}.java").read_text(), re.S)
        found = body and [member(line) for line in body[1].split("\n")]
        compare(f"{kind} {name}", java_members(header, java, name), found)
    if wrong:
        raise Bad("jextract's output differs from our header (generate it anew)\n" + "\n".join(wrong))
    counts = f"{len(functions)} functions, {len(constants)} constants, {len(header.groups)} layouts"
    print(f"{counts} of jextract's output checked")


if __name__ == "__main__":
    mode, *paths = sys.argv[1:]
    try:
        {"c": c_checks, "ctypes": ctypes_checks, "java": java_checks}[mode](*map(Path, paths))
    except Bad as problem:
        sys.exit(f"abi_checks.py: {problem}")
