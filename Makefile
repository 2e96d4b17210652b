# Needs Go, Node and make; `make` alone lists what there is to do.

VERSION := $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
TOOL    := go tool -modfile=tools/go.mod
TEMPL   := $(TOOL) templ
DATA    ?= $(or $(TRELLIS_DATA),./data)

# Two jobs at a time: a third package under the race detector only makes the timed tests of the others late.
GOTEST  := go test -p 2 -timeout 15m
# The race detector needs a C compiler, which nothing else here does.
RACE    := $(if $(shell command -v "$$(go env CC)" 2>/dev/null),-race,)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: help run build test dev dev-serve bench fmt lint screenshots need pages unit outside browser current

help: ## Say what there is to do
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | sort | awk -F '\t' '{ printf "  make %-12s %s\n", $$1, $$2 }'

run: build ## Build, and serve a pretend greenhouse; open the address that it prints
	@echo "Starting. State is kept in $(DATA); stop with Ctrl-C."
	@exec bin/trellis serve --demo --data $(DATA)

build: pages ## Leave the program in bin/trellis
	CGO_ENABLED=0 go build -trimpath -buildvcs=false -ldflags "-s -w -X main.version=$(VERSION)" -o bin/trellis ./cmd/trellis

# What the program embeds: generated templates and bundled scripts.
pages: web/node_modules/.installed bin/.templ
	go run -C tools ./bundle

web/node_modules/.installed: web/package-lock.json
	cd web && npm ci --no-audit --no-fund --loglevel=error
	@touch $@

bin/.templ: $(wildcard templates/*.templ) tools/go.mod
	$(TEMPL) generate -path templates
	@mkdir -p bin && touch $@

test: current build need unit browser outside ## Everything that must hold, from unit tests to browsers

# The generated files are committed; on a developer's machine `build` brings them up to date, elsewhere stale ones are a fault.
current:
	$(if $(CI),$(TEMPL) generate -check -path templates)

need:
	e2e/need
	@$(if $(RACE),,echo "make: no C compiler found, so the tests run without the race detector" >&2)

unit:
	go vet ./...
	go -C tools vet ./...
	@wrong=$$(gofmt -l $$(go list -f '{{.Dir}}' ./...) tools); if [ -n "$$wrong" ]; then echo "not formatted, run make fmt:"; echo "$$wrong"; exit 1; fi
	npm --prefix web run --silent check
	npm --prefix web test --silent
	$(GOTEST) $(RACE) $$(go list ./... | grep -v '^trellis/e2e$$')
	go -C tools test ./...

# One file at a time: each measures how soon something is seen. Outside tests run last and alone, for the same reason.
# A file that hangs is a failure that can be read, not a run that is cut off; ./e2e alone takes ten minutes.
browser: build need
	node --test --test-concurrency=1 --test-timeout=600000 e2e/browser/*.test.mjs

outside: build need
	$(GOTEST) $(RACE) -count=1 -p 1 -timeout 30m ./e2e

dev: pages ## Rebuild and reload the page on every change, at http://localhost:7331
	@rm -f bin/.templ # watching leaves other generated files behind than a build makes
	$(TEMPL) generate -path . -watch -open-browser=false -proxy=http://localhost:8080 \
		-watch-pattern='(.+\.go$$)|(.+\.templ$$)|(.+_templ\.txt$$)|(/web/src/.+\.(ts|css|svg)$$)' \
		-ignore-pattern='(/node_modules/)|(/static/dist/)|(/data/)|(_test\.go$$)' \
		-cmd='make --no-print-directory dev-serve'

# Run by dev after each change. exec, so that what is stopped is the server and not its parent.
dev-serve:
	@go run -C tools ./bundle
	@go build -o bin/trellis ./cmd/trellis
	@exec bin/trellis serve --demo --data $(DATA)

bench: build need ## Measure side by side with mosquitto, nginx and haproxy
	go run ./bench

screenshots: build need ## Take the pictures of the documentation again
	TRELLIS_TZ=UTC node e2e/browser/screenshots.mjs

fmt: web/node_modules/.installed ## Format everything
	gofmt -w $$(go list -f '{{.Dir}}' ./...) tools
	$(TEMPL) fmt templates
	npm --prefix web run --silent fix

lint: pages ## Look harder for mistakes
	go vet ./...
	$(TEMPL) generate -check -path templates
	$(TOOL) staticcheck -checks inherit,-SA1019 ./... # the WebSocket library is deprecated for its successor; decision 0001
	npm --prefix web run --silent check
