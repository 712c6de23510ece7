#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What is in the image, as SPDX 2.3 JSON: every file, and the Debian package it came from.

usage: sbom.py --version VERSION [--slim FOLDER] ROOT

The same files give the same bytes: the time is SOURCE_DATE_EPOCH's, or 1970.
"""
import argparse
import datetime
import hashlib
import json
import os
import pathlib
import re
import subprocess
import sys

DOCUMENT = "SPDXRef-DOCUMENT"
OURS = "SPDXRef-picklewall"


def ask(*command):
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""


def spdx_id(kind, name):
    return f"SPDXRef-{kind}-{re.sub('[^A-Za-z0-9.-]', '-', name)}"


def owner(name):
    """The Debian package of a shared object: the path that the loader finds it by, or where /lib leads."""
    triplet = ask("gcc", "-dumpmachine")
    for folder in (f"/usr/lib/{triplet}", f"/lib/{triplet}", "/lib64", "/usr/lib64"):
        path = pathlib.Path(folder, name)
        if path.exists():
            for spelling in (str(path), str(path.resolve()), str(path.resolve()).removeprefix("/usr")):
                found = ask("dpkg-query", "-S", spelling)
                if found:
                    return found.splitlines()[0].split(": ")[0].split(":")[0]
    raise SystemExit(f"sbom.py: {name}: no Debian package has it; is it of another folder?")


def licences(package):
    """The short names that its copyright file gives, which are not all SPDX's: a comment, no claim."""
    path = pathlib.Path("/usr/share/doc", package, "copyright")
    text = path.read_text(errors="replace") if path.exists() else ""
    return sorted(set(re.findall(r"^License: *([A-Za-z0-9.+-]+)", text, re.MULTILINE)))


def debian(package, slim):
    source, version, arch = ask(
        "dpkg-query", "-W", "-f", "${source:Package} ${source:Version} ${Architecture}", package).split()
    names = licences(package)
    entry = {
        "SPDXID": spdx_id("Package", package),
        "name": package,
        "versionInfo": ask("dpkg-query", "-W", "-f", "${Version}", package),
        "supplier": "Organization: Debian",
        "downloadLocation": "NOASSERTION",
        "filesAnalyzed": False,
        "licenseConcluded": "NOASSERTION",
        "licenseDeclared": "NOASSERTION",
        "copyrightText": "NOASSERTION",
        "sourceInfo": f"built from {source} {version}" + (" without what the wall does not use, see docker/slim.sh" if slim else ""),
        "externalRefs": [{
            "referenceCategory": "PACKAGE-MANAGER",
            "referenceType": "purl",
            "referenceLocator": f"pkg:deb/debian/{source}@{version}?arch=source&distro=bookworm" if slim else
                                f"pkg:deb/debian/{package}@{version}?arch={arch}&distro=bookworm",
        }],
    }
    if names:
        entry["licenseComments"] = "Debian's copyright file names: " + ", ".join(names)
    return entry


def file_entry(path, name):
    data = path.read_bytes()
    return {
        "SPDXID": spdx_id("File", name.lstrip("/")),
        "fileName": f".{name}",
        "fileTypes": ["BINARY" if data[:4] == b"\x7fELF" else "TEXT"],
        "checksums": [{"algorithm": "SHA1", "checksumValue": hashlib.sha1(data).hexdigest()},
                      {"algorithm": "SHA256", "checksumValue": hashlib.sha256(data).hexdigest()}],
        "licenseConcluded": "NOASSERTION",
        "copyrightText": "NOASSERTION",
    }


def ours(version, files):
    """Its verification code is SHA-1 over the sorted SHA-1 sums of its files (SPDX 2.3, 7.9)."""
    sums = sorted(entry["checksums"][0]["checksumValue"] for entry in files)
    return {
        "SPDXID": OURS,
        "name": "picklewall",
        "versionInfo": version,
        "supplier": "Organization: picklewall",
        "downloadLocation": "NOASSERTION",
        "filesAnalyzed": True,
        "packageVerificationCode": {"packageVerificationCodeValue": hashlib.sha1("".join(sums).encode()).hexdigest()},
        "licenseConcluded": "Apache-2.0",
        "licenseDeclared": "Apache-2.0",
        "licenseInfoFromFiles": ["NOASSERTION"],
        "copyrightText": "NOASSERTION",
        "primaryPackagePurpose": "APPLICATION",
    }


def relation(source, kind, target):
    return {"spdxElementId": source, "relationshipType": kind, "relatedSpdxElement": target}


def document(root, version, slim):
    files, mine, packages, relations = [], [], {}, [relation(DOCUMENT, "DESCRIBES", OURS)]
    for path in sorted(path for path in root.rglob("*") if path.is_file() and path.suffixes[-2:] != [".spdx", ".json"]):
        name = f"/{path.relative_to(root)}"
        entry = file_entry(path, name)
        files.append(entry)
        if ".so" not in path.name:
            mine.append(entry)
            relations.append(relation(OURS, "CONTAINS", entry["SPDXID"]))
            continue
        package = owner(path.name)
        packages.setdefault(package, debian(package, (slim / path.name).exists()))
        relations.append(relation(packages[package]["SPDXID"], "CONTAINS", entry["SPDXID"]))
    relations += [relation(OURS, "DEPENDS_ON", package["SPDXID"]) for package in packages.values()]
    contents = "".join(entry["checksums"][1]["checksumValue"] for entry in files)
    created = datetime.datetime.fromtimestamp(int(os.environ.get("SOURCE_DATE_EPOCH", "0")), datetime.timezone.utc)
    return {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": DOCUMENT,
        "name": f"picklewall-{version}-image",
        "documentNamespace": "https://spdx.org/spdxdocs/picklewall-image-"
                             + hashlib.sha256(contents.encode()).hexdigest(),
        "creationInfo": {"created": created.strftime("%Y-%m-%dT%H:%M:%SZ"),
                         "creators": ["Tool: picklewall-docker-sbom"]},
        "packages": [ours(version, mine), *packages.values()],
        "files": files,
        "relationships": relations,
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--version", required=True)
    parser.add_argument("--slim", type=pathlib.Path, default=pathlib.Path("/nonexistent"))
    parser.add_argument("root", type=pathlib.Path)
    args = parser.parse_args()
    json.dump(document(args.root, args.version, args.slim), sys.stdout, indent=1)
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
