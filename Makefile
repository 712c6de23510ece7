# SPDX-License-Identifier: Apache-2.0
#
# The front door. Behind it stands CMake: `cmake --workflow --preset dev` builds and tests too.
SHELL := /bin/bash
JOBS ?= $(shell nproc)
TEST_JOBS ?= $(shell expr 2 \* $(JOBS)) # tests wait more than they work
PREFIX ?= /usr/local
SECONDS = 60

.PHONY: help run test demo bench fuzz coverage lint install deps clean build image image-test deb

help: ## say what there is
	@sed -n 's/^\([a-z-]*\):.*## /    make \1\t/p' Makefile | expand -t 24

run: build ## start the wall with config/picklewall.conf, its state under build/
	@PICKLEWALL_STATE=$(CURDIR)/build/run-state \
	    exec build/dev/picklewall run --config config/picklewall.conf

test: build ## every test, a few minutes the first time
	@ctest --preset dev --no-label-summary -j $(TEST_JOBS) --output-junit $(CURDIR)/build/dev/tests.xml

demo: build ## the published attack, stopped; WALL=no shows it succeed
	@/usr/bin/python3 tests/demo/demo.py $(if $(filter no,$(WALL)),--no-wall)

bench: build ## ratios to a bare zmq_proxy and to pickle.loads
	@tests/bench/run.sh

fuzz: deps-build deps-test deps-fuzz ## each fuzz target for SECONDS=60; AFL=yes adds AFL++
	@tests/fuzz/run.sh --seconds $(SECONDS) $(if $(filter yes,$(AFL)),--afl)

coverage: deps-build deps-test deps-coverage ## lines and branches of common/pickle that no test runs
	@tests/coverage.sh

lint: build deps-lint ## everything that reads the code and runs none of it
	@tests/lint/run.sh

image: deps-build deps-image-build deps-image ## the sidecar image, without a registry: localhost/picklewall
	@docker/build.sh

image-test: build ## the same of build/dev, started and attacked; skipped where podman does not run
	@tests/image/run.sh build/dev/picklewall

install: deps-build ## build with optimisation, install under PREFIX=/usr/local (DESTDIR works)
	@cmake --preset release -DCMAKE_INSTALL_PREFIX=$(PREFIX) -DPW_TESTS=OFF \
	    --log-level=WARNING >/dev/null
	@cmake --build --preset release -j $(JOBS)
	@DESTDIR=$(DESTDIR) cmake --install build/release

deb: deps-build deps-deb ## build/deb/picklewall_*.deb, for this Debian
	@cmake --preset deb --log-level=WARNING >/dev/null
	@cmake --build --preset deb -j $(JOBS)
	@cd build/deb && SOURCE_DATE_EPOCH=$${SOURCE_DATE_EPOCH:-$$(git -C $(CURDIR) log -1 --format=%ct 2>/dev/null || echo 0)} \
	    cpack -G DEB >cpack.log || { cat cpack.log; exit 1; }
	@ls build/deb/picklewall_*.deb

deps: deps-build deps-test deps-fuzz deps-coverage deps-lint ## install every Debian package that any target uses

build: deps-build deps-test ## compile into build/dev
	@cmake --preset dev --log-level=WARNING >/dev/null
	@cmake --build --preset dev -j $(JOBS)

clean: ## remove build/
	@rm -rf build

.PHONY: deps-build deps-test deps-fuzz deps-coverage deps-lint deps-image deps-image-build deps-deb
deps-build deps-test deps-fuzz deps-coverage deps-lint deps-image deps-image-build deps-deb: deps-%:
	@.ci/install-deps.sh $*
