# The commands of a developer. Each line also runs on its own; CONTRIBUTING.md explains them.
PYTHON ?= python
COUNT ?= 1000

.PHONY: help test lint format docs site search bench smoke platforms

help:  ## list the targets
	@grep -E '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 12

test:  ## the test suite; one room: make test ROOM=tests/onnx
	$(PYTHON) -m pytest $(ROOM)

lint:  ## ruff, formatting, types
	ruff check .
	ruff format --check .
	mypy

format:  ## format every file
	ruff check --fix .
	ruff format .

docs:  ## rewrite what programs make: outputs in pages, tables, pictures, docs/errors.md, the schema
	$(PYTHON) tools/docs.py
	$(PYTHON) -m pytest -n 0 tests/diagnostics/test_explain.py --update-goldens
	$(PYTHON) -m archdsl schema -o docs/archdsl.schema.json --force

site:  ## the documentation site, in build/site; needs pip install '.[docs]'
	$(PYTHON) -m sphinx -W -q -b html docs build/site

search:  ## random networks, wrong specs, planted bugs, fuzzing; COUNT=1000
	$(PYTHON) -m tests.search.random_networks --count $(COUNT) --seed 0
	$(PYTHON) -m tests.search.wrong_specs --count $(COUNT)
	$(PYTHON) -m tests.search.networks.planted
	$(PYTHON) -m tests.search.fuzz --seconds 60

bench:  ## start-up, large graphs, compilation
	$(PYTHON) benchmarks/startup.py
	$(PYTHON) benchmarks/scale.py
	$(PYTHON) benchmarks/compile.py

smoke:  ## the main commands of the installed archdsl
	$(PYTHON) tools/smoke.py

platforms:  ## whether every supported platform has wheels of what archdsl and its extras require; needs uv and build
	$(PYTHON) tools/platforms.py --every-extra
