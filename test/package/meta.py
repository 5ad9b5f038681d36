"""Is META.json what PGXN takes, and does it agree with the rest?

Prints what is wrong; its standard is the PGXN Meta Spec 1.0.0.
"""

import json
import os
import re

REQUIRED = {"abstract", "license", "maintainer", "meta-spec", "name",
            "provides", "version"}
OPTIONAL = {"description", "generated_by", "no_index", "prereqs",
            "release_status", "resources", "tags"}
LICENSES = {"agpl_3", "apache_1_1", "apache_2_0", "artistic_1", "artistic_2",
            "bsd", "freebsd", "gfdl_1_2", "gfdl_1_3", "gpl_1", "gpl_2",
            "gpl_3", "lgpl_2_1", "lgpl_3_0", "mit", "mozilla_1_0",
            "mozilla_1_1", "open_source", "openssl", "perl_5", "postgresql",
            "qpl_1_0", "restricted", "ssleay", "sun", "unknown",
            "unrestricted", "zlib"}
SEMANTIC = re.compile(r"(0|[1-9]\d*)(\.(0|[1-9]\d*)){2}(-?[a-zA-Z][-\w]*)?$",
                      re.ASCII)
PHASES = {"configure", "build", "test", "runtime", "develop"}
RELATIONS = {"requires", "recommends", "suggests", "conflicts"}


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


def found(pattern, path):
    match = re.search(pattern, read(path), re.MULTILINE)
    return match.group(1) if match else None


def wrong_members(meta):
    for name in sorted(REQUIRED - meta.keys()):
        yield "%s is missing" % name
    for name in sorted(meta.keys() - REQUIRED - OPTIONAL):
        if not name.lower().startswith("x_"):
            yield "%s is not in the specification" % name
    for name in ("abstract", "name", "version"):
        if not isinstance(meta.get(name), str) or not meta[name]:
            yield "%s is no text" % name
    if len(meta["name"]) < 2 or re.search(r"[\s/\\]", meta["name"]):
        yield "name: %s" % meta["name"]
    if meta["license"] not in LICENSES:
        yield "license: %s" % meta["license"]
    if meta.get("release_status", "stable") not in {"stable", "testing",
                                                    "unstable"}:
        yield "release_status: %s" % meta["release_status"]
    if meta["meta-spec"].get("version") != "1.0.0":
        yield "meta-spec: %s" % meta["meta-spec"]
    for tag in meta.get("tags", []):
        if not 0 < len(tag) < 256 or re.search(r"[/\\\x00-\x1f]", tag):
            yield "tag: %s" % tag


def wrong_versions(meta):
    versions = {"version": meta["version"]}
    versions.update(("provides." + name, extension["version"])
                    for name, extension in meta["provides"].items())
    for phase, relations in meta.get("prereqs", {}).items():
        if phase not in PHASES or not relations.keys() <= RELATIONS:
            yield "prereqs: %s" % phase
        for relation in relations.values():
            versions.update(relation)
    for name, version in versions.items():
        if not SEMANTIC.match(version):
            yield "%s: %s is no semantic version" % (name, version)


def wrong_files(meta):
    for extension in meta["provides"].values():
        for member in ("file", "docfile"):
            if member in extension and not os.path.isfile(extension[member]):
                yield "%s: there is no %s" % (member, extension[member])


def disagreements(meta):
    """The release, 1.2.3, is of the extension 1.2, everywhere."""
    extension = meta["version"].rpartition(".")[0]
    said = {
        "velt_fdw.control": found(r"^default_version = '(.*)'",
                                  "velt_fdw.control"),
        "CHANGELOG.md": found(r"^## (\S+)", "CHANGELOG.md"),
        "debian/changelog": found(r"^velt-fdw \((.*)-\d+\)",
                                  "debian/changelog"),
        "META.json's file": found(r'"file": ".*--(.*)\.sql"', "META.json"),
    }
    for place, version in said.items():
        if version not in (extension, meta["version"]):
            yield "%s: %s, not %s" % (place, version, extension)
    if meta["provides"]["velt_fdw"]["version"] != meta["version"]:
        yield "the extension's version is not the release's"


if __name__ == "__main__":
    META = json.loads(read("META.json"))
    for check in (wrong_members, wrong_versions, wrong_files, disagreements):
        for problem in check(META):
            print(problem)
