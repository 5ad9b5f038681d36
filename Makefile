# velt_fdw: a foreign data wrapper for Velt workspaces.
#
# make, make install, make installcheck: as in any PGXS extension.
# test/run check: everything, on a private server; see README.md.

EXTENSION = velt_fdw
MODULE_big = velt_fdw
# The script of each version that can still be installed, and those that lead
# from one to the next.
DATA = $(patsubst $(srcdir)/%,%,$(wildcard $(srcdir)/src/velt_fdw--*.sql))
PGFILEDESC = "velt_fdw - foreign data wrapper for Velt workspaces"

# The client library: plain C11, links and is tested without a server.
CLIENT_OBJS = \
	src/client/attempt_log.o \
	src/client/buffer.o \
	src/client/config.o \
	src/client/cursor.o \
	src/client/error.o \
	src/client/event_loop.o \
	src/client/gunzip.o \
	src/client/handle.o \
	src/client/json.o \
	src/client/json_pointer.o \
	src/client/json_string.o \
	src/client/network.o \
	src/client/page.o \
	src/client/request_queue.o \
	src/client/resource.o \
	src/client/retry.o \
	src/client/transfer.o \
	src/client/transport.o \
	src/client/url.o

OBJS = \
	$(WIN32RES) \
	src/velt_fdw.o \
	src/commands/analyze.o \
	src/commands/check.o \
	src/commands/explain.o \
	src/commands/functions.o \
	src/commands/import.o \
	src/commands/thin.o \
	src/commands/validator.o \
	src/executor/async.o \
	src/executor/batch_join.o \
	src/executor/fetch.o \
	src/executor/filter_keys.o \
	src/executor/jit.o \
	src/executor/join.o \
	src/executor/key_lookup.o \
	src/executor/key_table.o \
	src/executor/scan.o \
	src/executor/source.o \
	src/executor/tuple.o \
	src/foreign/column.o \
	src/foreign/option.o \
	src/foreign/report.o \
	src/foreign/scan_plan.o \
	src/foreign/session.o \
	src/foreign/token_file.o \
	src/foreign/wait.o \
	src/optimizer/batch_join.o \
	src/optimizer/columns.o \
	src/optimizer/estimate.o \
	src/optimizer/join.o \
	src/optimizer/limit.o \
	src/optimizer/qual.o \
	src/optimizer/relation.o \
	src/optimizer/statistics.o \
	$(CLIENT_OBJS)

REGRESS = options import columns scan modes types errors explain pushdown plans \
	requests filters restarts join batch_join edges estimates
REGRESS_OPTS = --inputdir=$(srcdir) --encoding=UTF8 \
	--launcher=$(abspath $(srcdir))/test/simulator/with-simulator

# With TAP_TESTS=1, installcheck runs these, too; they need more packages.
PROVE_TESTS = test/t/*.pl
PROVE_FLAGS += -I $(abspath $(srcdir))/test/perl

# Goals that build nothing do without what a build needs, "dist" without PGXS.
USES_PGXS := $(filter-out dist,$(or $(MAKECMDGOALS),all))
BUILDS := $(filter-out clean distclean maintainer-clean uninstall installcheck,\
	$(USES_PGXS))

PKG_CONFIG ?= pkg-config
CLIENT_LIBS := $(if $(BUILDS),$(shell $(PKG_CONFIG) --libs 'libcurl >= 7.87' json-c zlib))
CLIENT_CPPFLAGS := $(if $(BUILDS),$(shell $(PKG_CONFIG) --cflags libcurl json-c zlib))
ifneq ($(BUILDS),)
ifeq ($(CLIENT_LIBS),)
$(error libcurl 7.87 or later, json-c or zlib was not found by $(PKG_CONFIG): install \
	libcurl4-openssl-dev, libjson-c-dev, zlib1g-dev and pkgconf, or their equals elsewhere)
endif
endif

# The server's headers are system headers, so that our warnings are ours.
PG_CPPFLAGS = -I$(srcdir)/src -isystem $(shell $(PG_CONFIG) --includedir-server) \
	$(CLIENT_CPPFLAGS)
PG_CFLAGS = -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
	-Wpointer-arith -Wvla
SHLIB_LINK = $(CLIENT_LIBS)

# What is published: the commit, under the name that PGXN asks for.
DISTVERSION = $(shell sed -n 's/^   "version": "\(.*\)",/\1/p' $(srcdir)/META.json)
DIST = $(EXTENSION)-$(DISTVERSION)

EXTRA_CLEAN = $(DIST).zip test/unit/obj test/unit/unit \
	test/fuzz/obj

# What brings pg_config may bring neither PGXS nor headers.
PG_CONFIG ?= pg_config
ifneq ($(USES_PGXS),)
PGXS := $(shell $(PG_CONFIG) --pgxs)
PGMAJOR := $(shell $(PG_CONFIG) --version | sed -n 's/^PostgreSQL \([0-9]*\).*/\1/p')
ifeq ($(PGMAJOR),)
$(error $(PG_CONFIG) does not run: install postgresql-server-dev-NN, where NN is your \
	PostgreSQL's version, or its equal elsewhere; or set PG_CONFIG)
endif
PGNEEDS := $(PGXS) $(if $(BUILDS),$(shell $(PG_CONFIG) --includedir-server)/postgres.h)
PGLACKS := $(filter-out $(wildcard $(PGNEEDS)),$(PGNEEDS))
ifneq ($(PGLACKS),)
$(error PostgreSQL $(PGMAJOR), which $(PG_CONFIG) belongs to, lacks $(PGLACKS): install \
	postgresql-server-dev-$(PGMAJOR), or its equal elsewhere; or choose another \
	PostgreSQL with PG_CONFIG=/path/to/pg_config)
endif
include $(PGXS)
endif
srcdir ?= .

# Tests of the client, without a server; more in test/unit/Makefile.
.PHONY: unit unit-sanitize unit-valgrind unit-coverage
unit unit-sanitize unit-valgrind unit-coverage:
	$(MAKE) -f $(srcdir)/test/unit/Makefile $@

# The C sources in PostgreSQL's format; whether they are in it.
.PHONY: indent indent-check
indent indent-check:
	cd $(srcdir) && CC='$(CC)' CPPFLAGS='$(CPPFLAGS)' perl test/lib/indent.pl \
		$(if $(filter indent,$@),--apply,--check)

.PHONY: dist
dist:
	git -C $(srcdir) archive --format=zip --prefix=$(DIST)/ \
		--output=$(CURDIR)/$(DIST).zip HEAD
