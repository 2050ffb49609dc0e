# What a developer types. Needs Python 3.11 or newer, make, and a package index.

VENV := .venv
BIN := $(VENV)/bin
comma := ,

# The first Python that is new enough; another one: make demo PYTHON=/path/to/python
PYTHON ?= $(shell for name in python3 python3.14 python3.13 python3.12 python3.11 python; do \
	$$name -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && { echo $$name; break; }; done)

.DEFAULT_GOAL := help

.PHONY: help
help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 12

# --- virtual environment -------------------------------------------------------------------------------------------------

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed. Tell where it is: make PYTHON=/path/to/python"; exit 1; }
	@echo "Making $(VENV) with $(PYTHON) ..."
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
		echo "This Python cannot make virtual environments. On Debian and Ubuntu: apt install python3-venv"; exit 1; }

# installed-<extras>, for example installed-dev: the package in place, with these extras.
$(VENV)/installed-%: pyproject.toml | $(BIN)/python
	@echo "Installing; the first time this takes about a minute ..."
	@$(BIN)/python -m pip install --disable-pip-version-check --progress-bar off --no-compile --editable '.[$*]'
	@touch $@

# --- demo ----------------------------------------------------------------------------------------------------------------

# make hands the options that are given on to the demo, which has the defaults.
DEMO_EXTRAS := demo$(if $(DATABASE_URL),$(comma)postgres)$(if $(REDIS_URL),$(comma)redis)

.PHONY: demo
demo: $(VENV)/installed-$(DEMO_EXTRAS) ## Run the demo shop: PORT=8000 TRAFFIC=on|off CONSENT=1 DATABASE_URL= REDIS_URL=
	@rm -f $(or $(DEMO_DIR),.demo)/access.json # A killed demo leaves it; scripts wait for the new one.
	@$(BIN)/python -m project.demo

# --- tests and tools -----------------------------------------------------------------------------------------------------

NPM := $(shell command -v npm 2>/dev/null)
DEV := $(VENV)/installed-dev frontend/node_modules/.package-lock.json
TEMPLATES = git ls-files -z 'livereferrals/templates/*.html' 'project/*.html' 'tests/*.html'

.PHONY: test
test: $(DEV) chromium ## Run all tests, on PostgreSQL and on SQLite, with coverage
	@$(BIN)/python -m tests.run

.PHONY: faults
faults: $(DEV) ## Kill, cut, lock and fill things under load, and account for it: MINUTES=4 SEED=
	@$(BIN)/python -m tests.faults.chaos --on postgres --minutes $(or $(MINUTES),4) $(if $(SEED),--seed $(SEED))
	@$(BIN)/python -m tests.faults.chaos --on sqlite --minutes $(or $(MINUTES),4) $(if $(SEED),--seed $(SEED))
	@$(BIN)/python -m tests.faults.no_room || test $$? = 77 # Where no disk of its own can be mounted, it says so.

.PHONY: soak
soak: $(DEV) ## Hold a steady load, and see that memory and open files stay flat: SOAK_MINUTES=20 ON=postgres|sqlite
	@$(BIN)/python -m tests.faults.soak --on $(or $(ON),postgres) --minutes $(or $(SOAK_MINUTES),20)

.PHONY: lint
lint: $(DEV) docs ## Check style, templates, imports, dead code, dependencies and docs
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(TEMPLATES) | xargs -0 $(BIN)/djade --check --target-version 5.2
	$(BIN)/lint-imports
	.ci/dead-code
	$(BIN)/deptry .
	$(BIN)/bandit --quiet --configfile pyproject.toml --recursive livereferrals project
ifneq ($(NPM),)
	$(NPM) --prefix frontend run --silent lint
endif

.PHONY: audit
audit: $(VENV)/installed-audit ## Look the installed packages up among the known weaknesses; needs pypi.org
	@.ci/audit

.PHONY: types
types: $(DEV) ## Check types
	@$(BIN)/python -m tests.docs.examples build/examples
	$(BIN)/mypy livereferrals project tests build/examples
ifneq ($(NPM),)
	$(NPM) --prefix frontend run --silent types
endif

.PHONY: docs
docs: $(VENV)/installed-dev ## Build the documentation as a site: build/docs/index.html
	$(BIN)/sphinx-build --quiet --fail-on-warning --keep-going --write-all --doctree-dir build/doctrees docs build/docs

.PHONY: matrix
matrix: $(VENV)/installed-matrix ## Run the core of the tests on each Python at hand, with each Django: ONLY="core-3.12(django='6.0')" TESTS=
	$(BIN)/nox --noxfile tests/noxfile.py $(if $(ONLY),--session "$(ONLY)") $(if $(TESTS),-- $(TESTS))

.PHONY: messages
messages: $(VENV)/installed-dev ## Bring the translations up to date; needs GNU gettext, as nothing else does
	@.ci/messages

.PHONY: build
build: $(VENV)/installed-dev ## Build wheel and sdist into dist/
	$(BIN)/python -m build --no-isolation

# A registry that mirrors one platform only cannot give all that the lock file names; the versions are pinned anyway.
frontend/node_modules/.package-lock.json: frontend/package-lock.json
ifneq ($(NPM),)
	@$(NPM) --prefix frontend ci --silent || $(NPM) --prefix frontend install --silent --no-package-lock
	@touch $@
else
	@echo "npm is not there: the JavaScript tools and tests are left out."
endif

.PHONY: chromium
chromium:
	@.ci/chromium

.PHONY: bench
bench: ## Measure everything that has a goal: QUICK=1 ONLY=P10 OUT=DIR; makes .bench, writes benchmarks/REPORT.md
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed. Tell where it is: make PYTHON=/path/to/python"; exit 1; }
	@$(PYTHON) -m benchmarks $(if $(QUICK),--quick) $(if $(ONLY),--only $(ONLY)) $(if $(OUT),--out $(OUT))
