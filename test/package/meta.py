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


def is_text(value):
    return isinstance(value, str) and value != ""


def is_term(value):
    return is_text(value) and re.fullmatch(r"[^\s/\\\x00-\x1f\x7f]{2,}", value)


def is_range(value):
    """As in ">= 1.2.0, < 2.0.0"; 0 is any version."""
    return value == 0 or is_text(value) and all(
        part.strip() == "0" or
        SEMANTIC.match(re.sub(r"^([<>]=?|[=!]=)\s*", "", part.strip()))
        for part in value.split(","))


def is_url(value):
    return is_text(value) and re.match(r"[a-z][a-z0-9+.-]*:\S+$", value)


def strangers(place, members, known):
    """Members that the specification has not, unless they are our own."""
    for name in sorted(members.keys() - known):
        if not re.match("[xX]_.", name):
            yield "%s%s is not in the specification" % (place, name)


def missing_members(meta):
    for name in sorted(REQUIRED - meta.keys()):
        yield "%s is missing" % name


def wrong_members(meta):
    yield from strangers("", meta, REQUIRED | OPTIONAL)
    for name in ("abstract", "description", "generated_by"):
        if name in meta and not is_text(meta[name]):
            yield "%s is no text" % name
    maintainers = meta["maintainer"]
    if not isinstance(maintainers, list):
        maintainers = [maintainers]
    if not maintainers or not all(map(is_text, maintainers)):
        yield "maintainer: %s" % maintainers
    if not is_term(meta["name"]):
        yield "name: %s" % meta["name"]
    if meta["license"] not in LICENSES:
        yield "license: %s" % meta["license"]
    if meta.get("release_status", "stable") not in {"stable", "testing",
                                                    "unstable"}:
        yield "release_status: %s" % meta["release_status"]


def wrong_meta_spec(meta):
    spec = meta["meta-spec"]
    yield from strangers("meta-spec.", spec, {"version", "url"})
    if not re.fullmatch(r"1\.0\.\d+", spec.get("version", "")):
        yield "meta-spec.version: %s" % spec.get("version")
    if not re.fullmatch(r"https?://pgxn\.org/meta/spec\.txt",
                        spec.get("url", "https://pgxn.org/meta/spec.txt")):
        yield "meta-spec.url: %s" % spec["url"]


def wrong_tags(meta):
    tags = meta.get("tags", ["none"])
    if not isinstance(tags, list) or not tags or len(set(tags)) < len(tags):
        yield "tags: %s" % tags
    for tag in tags:
        if not is_text(tag) or re.search(r".{256}|[/\\\x00-\x1f\x7f]", tag):
            yield "tag: %s" % tag


def wrong_resources(meta):
    resources = meta.get("resources", {})
    bugs = resources.get("bugtracker", {"web": "https://localhost"})
    repository = resources.get("repository", {"web": "https://localhost"})
    yield from strangers("resources.", resources,
                         {"homepage", "bugtracker", "repository"})
    yield from strangers("bugtracker.", bugs, {"web", "mailto"})
    yield from strangers("repository.", repository, {"web", "url", "type"})
    if not {"web", "mailto"} & bugs.keys():
        yield "resources.bugtracker: neither web nor mailto"
    if not {"web", "url"} & repository.keys():
        yield "resources.repository: neither web nor url"
    if "url" in repository and not re.fullmatch("[a-z]+",
                                                repository.get("type", "")):
        yield "resources.repository.type: %s" % repository.get("type")
    for url in (resources.get("homepage", "https://localhost"),
                bugs.get("web", "https://localhost"),
                repository.get("web", "https://localhost"),
                repository.get("url", "https://localhost")):
        if not is_url(url):
            yield "resources: %s is no URL" % url


def wrong_provides(meta):
    if not meta["provides"]:
        yield "provides nothing"
    for name, extension in meta["provides"].items():
        if not is_term(name):
            yield "provides: %s" % name
        yield from strangers("provides.%s." % name, extension,
                             {"file", "version", "abstract", "docfile"})
        for member in ("file", "version"):
            if member not in extension:
                yield "provides.%s.%s is missing" % (name, member)
        if not is_text(extension.get("abstract", "none")):
            yield "provides.%s.abstract is no text" % name


def wrong_versions(meta):
    versions = {"version": meta["version"]}
    versions.update(("provides." + name, extension["version"])
                    for name, extension in meta["provides"].items())
    for name, version in versions.items():
        if not is_text(version) or not SEMANTIC.match(version):
            yield "%s: %s is no semantic version" % (name, version)
    for phase, relations in meta.get("prereqs", {}).items():
        if phase not in PHASES or not relations.keys() <= RELATIONS:
            yield "prereqs: %s" % phase
        for relation in relations.values():
            for name, version in relation.items():
                if not is_term(name) or not is_range(version):
                    yield "prereqs: %s %s" % (name, version)


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
    if meta["provides"].get("velt_fdw", {}).get("version") != meta["version"]:
        yield "the extension's version is not the release's"


def problems(meta):
    """What is missing; or else what is wrong with what is there."""
    yield from missing_members(meta)
    if not meta.keys() >= REQUIRED:
        return
    for check in (wrong_members, wrong_meta_spec, wrong_tags, wrong_resources,
                  wrong_provides, wrong_versions, wrong_files, disagreements):
        yield from check(meta)


if __name__ == "__main__":
    for problem in problems(json.loads(read("META.json"))):
        print(problem)
