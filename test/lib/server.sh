# shellcheck shell=bash disable=SC2154 # others' variables
#
# velt_fdw, built and installed for nobody else, and a private PostgreSQL that
# has it.  A verb's second half calls these.

build_timeout_s=300
start_timeout_s=60

# Builds and installs into the workplace.
build_extension() {
    # Bitcode is for inlining by the JIT compiler only.
    job "$build_timeout_s" make -s -j"$(nproc)" with_llvm=no all &&
        job "$build_timeout_s" make -s with_llvm=no install \
            DESTDIR="$workplace/install"
}

# Lines of postgresql.conf for a server that finds the extension there.
extension_settings() {
    local install=$workplace/install

    echo "dynamic_library_path = '$install$(pg_path pkglibdir):\$libdir'"
    if (($(postgres_major "$PG_CONFIG") >= 18)); then
        echo "extension_control_path = '$install$(pg_path sharedir):\$system'"
    else
        echo "extension_destdir = '$install'"
    fi
    # Nothing here has to outlive a power failure.
    echo "fsync = off"
}

pg_path() {
    "$PG_CONFIG" "--$1"
}

# Starts a server on a socket in the workplace, with an empty database demo;
# programs find it by their environment.
start_server() {
    local data=$workplace/data

    PATH=$(pg_path bindir):$PATH
    export PATH PGHOST=$workplace/tmp PGUSER=demo PGDATABASE=demo
    job "$start_timeout_s" initdb -D "$data" --username="$PGUSER" \
        --auth=trust --encoding=UTF8 --no-sync &&
        server_settings >>"$data/postgresql.conf" &&
        job "$start_timeout_s" pg_ctl start -D "$data" \
            --log="$workplace/log/server.log" &&
        createdb --maintenance-db=postgres
}

server_settings() {
    extension_settings
    echo "listen_addresses = ''"
    echo "unix_socket_directories = '$PGHOST'"
}

# with_simulator PROGRAM ARGUMENT...: at the terminal
with_simulator() {
    attended test/simulator/with-simulator "$@"
}
