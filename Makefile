# The short commands. Each installs what it needs (as root, on Debian and its kin) and says what it does.

# Which nginx: installed (the distribution's package), vendored (built here, from a crate), asan (the same with
# AddressSanitizer), or the path of a configured tree's objs folder.
NGINX ?= installed
# The engine of tests: wasmtime, pulley, wasmedge.
ENGINE ?= wasmtime

# One thing at a time: cargo keeps the cores busy, and the test summary has to come last.
.NOTPARALLEL:
# Releases of Debian that have a root of their own: words for 'make test-on'.
ROOTS := debian-12 debian-13 debian-unstable
.PHONY: help build guests demo demo-programs demo-stop test test-unit test-fuzz test-nginx test-on test-matrix $(ROOTS) full-test \
    fuzz conformance check check-deps bench clean docs install deb test-deb

help:
	@echo 'make build      compile the module: build/ngx_http_wasm_module.so'
	@echo 'make demo       build all, start a local nginx with two filters, and show them with curl'
	@echo 'make demo-programs  the same with locations that programs answer, in Python, Go and Rust, and functions of Extism'
	@echo 'make demo-stop  stop that nginx'
	@echo 'make test       unit tests, and the test suite in t/ on a real nginx'
	@echo 'make test-on debian-13  the test suite on another release of Debian, with its nginx (also debian-12, debian-unstable);'
	@echo '                PART=build, PART=smoke: only a part;  ENGINE=wasmedge: on that engine;  make test-matrix: on all of them'
	@echo 'make full-test  the test suite with AddressSanitizer and under valgrind, and live fuzzing: hours'
	@echo 'make fuzz       libFuzzer on each fuzz target, FUZZ_SECONDS=600 for each (docs/development.md)'
	@echo 'make conformance  the same filters and requests in Envoy and here, compared (docs/differences.md)'
	@echo 'make guests     compile the example filters (t/guests) to build/guests'
	@echo 'make check      formatting, linters, who uses whom, links of the pages'
	@echo 'make check-deps licences, sources and known weaknesses of all dependencies, with cargo-deny'
	@echo 'make bench      what filters cost beside Lua and Envoy, 20 minutes (BENCH=--short: 3); bench/run --help has more'
	@echo 'make docs       the pages as a site, with mdBook: build/site/index.html'
	@echo 'make install    put what make build has made where nginx and Lua look for it; DESTDIR, MODULES_DIR, LUA_DIR, BIN_DIR (docs/install.md)'
	@echo 'make deb        a Debian package, for the Debian that runs here: build/deb'
	@echo 'make test-deb   install, use, upgrade and remove that package on Debian 12 and 13;  make test-deb debian-13: on one'
	@echo 'make clean      remove build/ and target/'
	@echo
	@echo 'NGINX=installed (default) | vendored | asan | /path/to/configured/objs  for build, demo, test, check, bench'
	@echo 'make test-unit, make test-fuzz, make test-nginx: the parts of make test;  t/run t/FILE.t: one test file'

build:
	@tools/build-module.sh '$(NGINX)'

guests:
	@tools/guests/build.sh

demo: build
	@tools/guests/build.sh rust-headers go-headers
	@demo/run '$(NGINX)'

demo-programs: build
	@tools/guests/build.sh python go-cgi rust-program rust-extism extism-count_vowels
	@demo/programs '$(NGINX)'

demo-stop:
	@demo/stop

test: test-unit test-fuzz test-nginx

# Release, and the whole workspace: so cargo makes do with the dependencies that it has compiled for the module.
test-unit:
	@tools/cargo.sh '$(NGINX)' test --release --locked --workspace
	@NGX_WASM_TEST_ENGINE=pulley tools/cargo.sh '$(NGINX)' test --release --locked --workspace

# The fuzz targets on their corpora and on some variations, the same in each run: a minute at most.
test-fuzz:
	@tools/fuzz.sh short

test-nginx: build guests
	@t/run --nginx '$(NGINX)' --engine '$(ENGINE)'

# The same on other releases of Debian, in roots that are made for it.
PART ?= test
test-on test-matrix: export TEST_ENGINE := $(ENGINE)
test-on:
	@tools/roots/matrix.sh '$(PART)' $(or $(filter $(ROOTS),$(MAKECMDGOALS)),$(error which one? make test-on debian-13))
test-matrix:
	@tools/roots/matrix.sh '$(PART)'
$(ROOTS):
	@:

# What takes too long for each change. VALGRIND_TESTS: what of t/ runs under valgrind, which takes most of the time. Left out
# are folders of which the guests are large, or others' (they run with AddressSanitizer).
VALGRIND_TESTS ?= $(filter-out t/40-% t/55-% t/60-% t/65-% t/90-%,$(wildcard t/[0-9]*))
full-test: guests
	@tools/check-deps.sh
	@tools/build-module.sh asan
	@t/run --nginx asan
	@COMPANY='--triples' t/run --nginx asan t/55-company
	@NGINX=asan tools/fuzz.sh live --batches 20
	@tools/with-swap.sh tools/cargo.sh installed test --release --locked --lib swap::
	@tools/build-module.sh installed
	@NGINX=installed tools/fuzz.sh lua --batches 20
	@t/run --nginx installed --valgrind t/40-lua
	@tools/build-module.sh vendored
	@t/run --nginx vendored --valgrind $(VALGRIND_TESTS)

FUZZ_SECONDS ?= 600
fuzz: guests
	@tools/fuzz.sh long '$(FUZZ_SECONDS)'

# A part: make conformance CONFORMANCE='bodies: *'. After a change of the table: make conformance CONFORMANCE=--write-docs
conformance: build guests
	@tools/install.sh conformance
	@CONFORMANCE_REQUIRED=1 CONFORMANCE='$(CONFORMANCE)' t/run --nginx '$(NGINX)' t/60-conformance

check:
	@tools/check.sh '$(NGINX)'

check-deps:
	@tools/check-deps.sh

# REPOSITORY=https://example.org/ngx-wasm/blob/main: where links to sources lead; otherwise to copies in the site.
docs:
	@tools/site.sh

# Options of bench/run all: make bench BENCH=--short;  make bench BENCH=--write-docs puts the tables into the pages
bench: build guests
	@tools/install.sh bench
	@bench/run all '$(NGINX)' $(BENCH)

# For an nginx that has no package of the module. Where nginx looks for modules, it says itself, unless MODULES_DIR does; LUA_DIR is
# where LuaJIT looks; BIN_DIR gets ngx-wasm-try. What is packed, rather than installed, goes below DESTDIR.
LUA_DIR ?= /usr/local/share/lua/5.1
BIN_DIR ?= /usr/local/bin
install:
	@set -e; unset NGINX; tree=$$(tools/nginx-tree.sh '$(NGINX)'); eval "$$tree"; \
	    modules='$(MODULES_DIR)'; modules=$${modules:-$$nginx_modules}; \
	    [ -n "$$modules" ] || modules=$$(sed -n 's/^#define NGX_PREFIX *"\(.*\)"/\1modules/p' "$$nginx_objs/ngx_auto_config.h"); \
	    [ -f "$$wasm_module" ] || { echo "$$wasm_module is not there; run: make build NGINX='$(NGINX)'" >&2; exit 1; }; \
	    install -D -m 644 "$$wasm_module" "$(DESTDIR)$$modules/ngx_http_wasm_module.so"; \
	    install -D -m 644 lua/resty/proxy-wasm.lua "$(DESTDIR)$(LUA_DIR)/resty/proxy-wasm.lua"; \
	    echo "$(DESTDIR)$(LUA_DIR)/resty/proxy-wasm.lua is installed"; \
	    install -D -m 755 tools/try "$(DESTDIR)$(BIN_DIR)/ngx-wasm-try"; \
	    echo "$(DESTDIR)$(BIN_DIR)/ngx-wasm-try is installed"; \
	    echo "$(DESTDIR)$$modules/ngx_http_wasm_module.so is installed, for nginx $$nginx_version; at the top of nginx.conf:"; \
	    echo "    load_module $$modules/ngx_http_wasm_module.so;"

deb:
	@tools/deb.sh

test-deb:
	@tools/deb-test.sh $(filter $(ROOTS),$(MAKECMDGOALS))

clean: demo-stop
	rm -rf build target
