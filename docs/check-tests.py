#!/usr/bin/env python3
"""Checks that every test and script that security.md and reliability.md name is there."""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def main():
    sources = {path.stem: path.read_text() for path in ROOT.glob("zeusd-*/src/test/java/**/*Test.java")}
    for page in "docs/security.md", "docs/reliability.md":
        check(page, sources)


def check(page, sources):
    text = (ROOT / page).read_text()
    missing, count = [], 0
    for line in text.splitlines():
        test_class = None  # `#method` alone belongs to the class named before it
        for name, method in re.findall(r"`(\w+Test)?(?:#(\w+))?`", line):
            if not name and not method:
                continue
            test_class = name or test_class
            count += 1
            if f"void {method}(" not in sources.get(test_class, "") if method else test_class not in sources:
                missing.append(f"{test_class}#{method}")
    for script in re.findall(r"`(packaging/[\w./-]+)`", text):
        count += 1
        if not (ROOT / script).exists():
            missing.append(script)
    if missing:
        sys.exit(f"{page} names what is not there: " + ", ".join(missing))
    print(f"ok: {page} names {count} tests and scripts, all there")


if __name__ == "__main__":
    main()
