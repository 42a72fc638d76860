#!/usr/bin/env python3
"""Checks that all that the pages name is there: the tests and scripts of security.md and reliability.md, the
classes of README.md, and the file and heading behind every link of any page."""

import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def main():
    sources = {path.stem: path.read_text() for path in ROOT.glob("zeusd-*/src/test/java/**/*Test.java")}
    for page in "docs/security.md", "docs/reliability.md":
        check(page, sources)
    check_classes("README.md")
    check_links()


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


def check_classes(page):
    ours = {path.stem for path in ROOT.glob("zeusd-*/src/**/*.java")}
    named = set(re.findall(r"`([A-Z][a-z]\w+)`", (ROOT / page).read_text().partition("## To change zeusd")[2]))
    if not named or named - ours:
        sys.exit(f"{page} names classes that are not there: " + ", ".join(sorted(named - ours)))
    print(f"ok: {page} names {len(named)} classes, all there")


def check_links():
    pages = [ROOT / name for name in ("README.md", "CHANGELOG.md")]
    pages += [page for folder in ("docs", "packaging", "conformance", "headers") for page in (ROOT / folder).rglob("*.md")]
    count, missing = 0, []
    for page in pages:
        for link in re.findall(r"\]\(([^)\s]+)\)", without_code(page.read_text())):
            if re.match(r"[a-z]+:", link):
                continue
            path, _, heading = link.partition("#")
            target = (page.parent / path).resolve() if path else page
            count += 1
            if not target.exists() or heading and heading not in headings(target):
                missing.append(f"{page.relative_to(ROOT)}: {link}")
    if missing:
        sys.exit("links to what is not there:\n  " + "\n  ".join(missing))
    print(f"ok: {count} links between pages")


def headings(page):
    """The anchors of a page's headings, as GitHub makes them."""
    titles = re.findall(r"^#+ (.*)$", without_code(page.read_text()), re.M)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def without_code(text):
    return re.sub(r"^ *```.*?^ *```", "", text, flags=re.M | re.S)


if __name__ == "__main__":
    main()
