"""Throw-away certificates: one authority, and every way of being refused.

The authorities' keys live in a temporary directory only.
"""

import datetime
import os
import subprocess
import sys
import tempfile

PASSPHRASE = "velt"         # of client-encrypted.key

LOOPBACK = "DNS:localhost,IP:127.0.0.1,IP:::1"

# file, common name, subject alternative names, authority, days: from and to
LEAVES = [
    ("server", "localhost", LOOPBACK, "ca", (-1, 3650)),
    ("expired", "localhost", LOOPBACK, "ca", (-30, -1)),
    ("wronghost", "other.invalid", "DNS:other.invalid", "ca", (-1, 3650)),
    ("untrusted", "localhost", LOOPBACK, "other-ca", (-1, 3650)),
    ("client", "velt client", "DNS:client.invalid", "ca", (-1, 3650)),
]

# "openssl ca", as the only command of all supported versions that can date
# a certificate into the past.
CONFIG = """
[ca]
default_ca = authority
[authority]
database = {work}/{name}.index
new_certs_dir = {work}
rand_serial = yes
unique_subject = no
default_md = sha256
policy = anything
copy_extensions = copy
x509_extensions = leaf
[anything]
commonName = supplied
[leaf]
basicConstraints = CA:false
keyUsage = critical,digitalSignature
extendedKeyUsage = serverAuth,clientAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
[root]
basicConstraints = critical,CA:true
keyUsage = critical,keyCertSign,cRLSign
subjectKeyIdentifier = hash
[req]
distinguished_name = nothing
[nothing]
"""

NEW_KEY = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
           "-nodes"]


def openssl(*arguments):
    done = subprocess.run(["openssl", *arguments], stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode != 0:
        sys.exit("openssl %s\n%s" % (" ".join(arguments),
                                     done.stdout.decode("utf-8", "replace")))


def make(directory):
    os.makedirs(directory, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=directory) as work:
        make_authority(work, "ca", os.path.join(directory, "ca.crt"))
        make_authority(work, "other-ca", os.path.join(work, "other-ca.crt"))
        os.symlink(os.path.abspath(os.path.join(directory, "ca.crt")),
                   os.path.join(work, "ca.crt"))
        for leaf in LEAVES:
            make_leaf(work, directory, *leaf)
    openssl("pkcs8", "-topk8", "-in", os.path.join(directory, "client.key"),
            "-out", os.path.join(directory, "client-encrypted.key"),
            "-passout", "pass:" + PASSPHRASE)


def make_authority(work, name, certificate):
    config = os.path.join(work, name + ".cnf")
    with open(config, "w") as file:
        file.write(CONFIG.format(work=work, name=name))
    open(os.path.join(work, name + ".index"), "w").close()
    openssl("req", "-x509", *NEW_KEY, "-config", config, "-extensions",
            "root", "-subj", "/CN=velt_fdw test " + name, "-days", "3650",
            "-keyout", os.path.join(work, name + ".key"),
            "-out", certificate)


def make_leaf(work, directory, name, common_name, names, authority, days):
    request = os.path.join(work, name + ".csr")
    config = os.path.join(work, authority + ".cnf")
    openssl("req", "-new", *NEW_KEY, "-config", config,
            "-subj", "/CN=" + common_name, "-addext",
            "subjectAltName=" + names, "-out", request,
            "-keyout", os.path.join(directory, name + ".key"))
    openssl("ca", "-batch", "-notext", "-config", config, "-in", request,
            "-cert", os.path.join(work, authority + ".crt"),
            "-keyfile", os.path.join(work, authority + ".key"),
            "-startdate", moment(days[0]), "-enddate", moment(days[1]),
            "-out", os.path.join(directory, name + ".crt"))


def moment(days):
    now = datetime.datetime.now(datetime.timezone.utc)
    return (now + datetime.timedelta(days)).strftime("%Y%m%d%H%M%SZ")


def main(arguments):
    if len(arguments) != 1:
        sys.exit("usage: simulator.py certs DIR")
    make(arguments[0])
