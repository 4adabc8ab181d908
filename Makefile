# make run | test | compile | lint | bench | bench-peers | bench-fair | bench-nodes | messages | samples: each sets up what it needs.

VENV := .venv
PYTHON := $(VENV)/bin/python
READY := $(VENV)/.ready
# The identity provider of the tests runs on Node.js.
PROVIDER := tests/support/oidc
PROVIDER_READY := $(PROVIDER)/node_modules/.ready
SYSTEM := build-essential python3-dev chromium chromium-headless-shell libatomic1 nginx caddy postgresql pgbouncer openssl curl rclone cadaver vdirsyncer git wrk faketime systemd prometheus nodejs npm

CATALOGUES := $(patsubst %.po,%.mo,$(wildcard gateway/locale/*/LC_MESSAGES/otium_gateway.po))

.PHONY: run test compile lint bench bench-peers bench-fair bench-nodes messages samples system

run: $(READY) $(CATALOGUES)
	$(PYTHON) -m gateway demo $(ARGS)

# Each of the processes of xdist reads what another has compiled.
test: $(READY) $(CATALOGUES) system $(PROVIDER_READY)
	env -u PYTHONDONTWRITEBYTECODE TMPDIR=$$(bin/scratch) $(PYTHON) -m pytest -n auto --dist loadfile --no-loadscope-reorder $(ARGS)

# The data path as extension modules, for the gateway that is installed in .venv: see docs/operations.md.
compile:
	@test -x $(PYTHON) || { echo "There is no $(PYTHON): install the gateway first, see README.md" >&2; exit 1; }
	@command -v cc >/dev/null && $(PYTHON) -c 'import os, sysconfig; os.stat(sysconfig.get_path("include") + "/Python.h")' 2>/dev/null \
		|| bin/install-system build-essential $$($(PYTHON) -c 'import sys; print("python%d.%d-dev" % sys.version_info[:2])')
	tools=$$(mktemp -d) && trap 'rm -rf "$$tools"' EXIT \
		&& $(PYTHON) -m pip install --quiet --disable-pip-version-check --target "$$tools" \
			--constraint requirements.lock --constraint requirements-dev.lock mypy setuptools \
		&& PYTHONPATH=$$tools $(PYTHON) bin/compile

lint: $(READY)
	$(VENV)/bin/ruff check gateway tests bench bin/compile bin/samples
	$(VENV)/bin/ruff format --check gateway tests bench bin/compile bin/samples
	$(VENV)/bin/mypy

bench: $(READY) system
	$(PYTHON) bench/many_people.py $(ARGS:--floor=)
	$(PYTHON) bench/run.py $(ARGS)
	$(PYTHON) bench/stores.py $(ARGS:--floor=)
	$(PYTHON) bench/session_check.py
	$(PYTHON) bench/features.py $(ARGS:--floor=)
	$(PYTHON) bench/breach_list.py
	$(PYTHON) bench/sign_ins.py
	$(PYTHON) bench/rush.py $(ARGS:--floor=)
	@bin/install-system valgrind
	$(PYTHON) bench/instructions.py --old $(or $(OLD),HEAD~1)
	$(PYTHON) bench/page_views.py

# Other proxies and gateways, in one table. It names what is not installed, and measures the rest.
bench-peers: $(READY) system
	$(PYTHON) bench/peers.py $(ARGS)

# Attackers at one address, and people beside them: see bench/README.md.
bench-fair: $(READY) system
	$(PYTHON) bench/fair_use.py $(ARGS)

# Several machines on one PostgreSQL, in health and in trouble.
bench-nodes: $(READY) system
	$(PYTHON) bench/nodes.py $(ARGS)
	$(PYTHON) bench/node_faults.py

# The texts of the code into the template, and from there into the catalogue of each language.
messages: $(READY)
	$(VENV)/bin/pybabel -q extract -F babel.cfg -k Sentence --no-location --project otium-gateway -o gateway/locale/otium_gateway.pot .
	for catalogue in $(CATALOGUES:.mo=.po); do \
		$(VENV)/bin/pybabel -q update --no-fuzzy-matching --ignore-obsolete --ignore-pot-creation-date --width=120 \
			-i gateway/locale/otium_gateway.pot -o $$catalogue -l $$(basename $$(dirname $$(dirname $$catalogue))); \
	done

# The paths of our pages into the sample configurations of proxies.
samples: $(READY)
	$(PYTHON) bin/samples

%.mo: %.po | $(READY)
	$(VENV)/bin/pybabel -q compile -i $< -o $@

$(READY): requirements.lock requirements-demo.lock requirements-dev.lock pyproject.toml
	bin/make-venv $(VENV)
	touch $@

system:
	@bin/install-system $(SYSTEM)

$(PROVIDER_READY): $(PROVIDER)/package-lock.json
	bin/install-provider
