#!/usr/bin/env python3
"""Checks that the image's SBOM lists exactly what the image ships, byte for byte.

Usage: packaging/sbom-check.py IMAGE_DIR
"""

import hashlib
import json
import re
import sys
from pathlib import Path


def main():
    image = Path(sys.argv[1])
    with open(image / "sbom.cdx.json") as file:
        sbom = json.load(file)
    problems = []

    listed = {}
    for component in sbom["components"]:
        if component["type"] == "library":
            sha256 = [h["content"] for h in component["hashes"] if h["alg"] == "SHA-256"]
            listed[f"{component['name']}-{component['version']}.jar"] = sha256
    shipped = {
        jar.name: [hashlib.sha256(jar.read_bytes()).hexdigest()] for jar in (image / "lib/app/lib").iterdir()
    }
    problems += [f"not in the SBOM: {name}" for name in sorted(shipped.keys() - listed.keys())]
    problems += [f"in the SBOM, but not shipped: {name}" for name in sorted(listed.keys() - shipped.keys())]
    for name in sorted(shipped.keys() & listed.keys()):
        if shipped[name] != listed[name]:
            problems.append(f"another file than in the SBOM: {name}")

    release = (image / "lib/runtime/release").read_text()
    java = re.search(r'JAVA_VERSION="([^"]+)"', release)[1]
    runtimes = [c["version"] for c in sbom["components"] if c["type"] == "platform"]
    if len(runtimes) != 1 or not re.match(re.escape(java) + r"\b", runtimes[0]):
        problems.append(f"the runtime is {java}, in the SBOM {runtimes}")

    main_component = sbom["metadata"]["component"]
    if image.resolve().name != f"zeusd-{main_component['version']}":
        problems.append(f"the SBOM is of version {main_component['version']}")

    if problems:
        sys.exit("\n".join(problems))
    print(f"ok: the SBOM has the {len(shipped)} jars, and Java {runtimes[0]}")


if __name__ == "__main__":
    main()
