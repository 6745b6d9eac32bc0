# Everything a fresh clone needs. `make help` lists the targets.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
PORT ?= 5000
DB ?= mlflow.db
SECONDS ?= 60
KILLS ?= 10
SEED ?= 0
TRIALS ?= 500
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help install sweep ui test lint format bench docs pictures results weightings oracle chaos chaos-plain soak reliability gpu-check cluster-test scaling fuzz wheel clean

help: ## list the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-12s %s\n", $$1, $$2}'

install: $(INSTALLED) ## build the environment; again only if pyproject.toml or constraints.txt changed

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' \
	  || { echo "mhray needs Python 3.11 to 3.13; write make PYTHON=python3.11 ..." >&2; exit 2; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

sweep: $(INSTALLED) ## run the main job: loss weights on multimnist, which it builds itself
	$(BIN)/python -m mhray.sweep configs/sweep_weights.yaml $(ARGS)

ui: $(INSTALLED) ## open the MLflow UI on what the sweeps recorded (PORT=5000)
	@if [ ! -f $(DB) ]; then echo "there is no $(DB) yet; run make sweep first" >&2; exit 2; fi
	$(BIN)/mlflow ui --backend-store-uri sqlite:///$(DB) --host 127.0.0.1 --port $(PORT)

test: $(INSTALLED) ## pass the whole test suite (COVERAGE=yes: measured as well, a fifth slower)
	$(if $(COVERAGE),$(BIN)/coverage erase)
	$(if $(COVERAGE),$(BIN)/coverage run,$(BIN)/python) -m pytest -n 3 --dist worksteal $(ARGS)
	$(if $(COVERAGE),$(BIN)/coverage combine --quiet)
	$(if $(COVERAGE),$(BIN)/coverage report)

lint: $(INSTALLED) ## check format, rules, types and layers
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(INSTALLED) ## format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: $(INSTALLED) ## write the schema of study files, and the table of their keys in docs/study.md
	$(BIN)/python docs/study_reference.py

pictures: $(INSTALLED) ## take the README's pictures of studies/loss_weights, while make ui runs (PORT=5000)
	$(BIN)/python docs/pictures.py studies/loss_weights http://127.0.0.1:$(PORT)

bench: $(INSTALLED) ## measure opening, loader, step and sweep against the usual way, and what weightings cost (half an hour)
	$(BIN)/python benchmarks/open.py
	$(BIN)/python benchmarks/loader.py
	$(BIN)/python benchmarks/step.py
	$(BIN)/python benchmarks/weightings.py
	$(BIN)/python benchmarks/sweep.py
	$(BIN)/python benchmarks/quote.py
	$(BIN)/python benchmarks/check.py
	$(BIN)/python benchmarks/report.py

results: $(INSTALLED) ## train every sized preset for 20 core-minutes with 3 seeds, into docs/results.md (4 h on two cores)
	$(BIN)/python benchmarks/presets.py

weightings: $(INSTALLED) ## compare all weightings of the losses over 5 seeds, into docs/weightings.md (2 h on two cores; resumes)
	$(BIN)/python -m mhray.sweep configs/sweep_weightings.yaml $(ARGS)
	$(BIN)/python benchmarks/weightings_page.py $(ARGS)

oracle: $(INSTALLED) ## try the search on tables beside others, 20 seeds, into docs/search.md (10 minutes of one core; resumes)
	$(BIN)/python benchmarks/search_oracle.py $(ARGS)

gpu-check: $(INSTALLED) ## try on this machine's GPU what is promised of one; skipped where there is none
	$(BIN)/python benchmarks/gpu_check.py

fuzz: $(INSTALLED) ## read damaged files: 100 000 at random, then by coverage (SECONDS=60 for each kind)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[fuzz]'
	$(BIN)/python fuzz/mutate.py
	for kind in pickle raw header; do \
	  $(BIN)/python fuzz/guided.py $$kind -max_total_time=$(SECONDS) || exit 1; \
	done

chaos: $(INSTALLED) ## kill parts of real sweeps at random instants and check that nothing is lost (KILLS=10 SEED=0)
	$(BIN)/python -m pytest -q tests/chaos
	$(BIN)/python -m tests.chaos --kills $(KILLS) --seed $(SEED) --results benchmarks/chaos.jsonl

chaos-plain: $(INSTALLED) ## the same kills on a plain Ray Tune script with Tuner.restore (KILLS=10 SEED=0)
	$(BIN)/python -m tests.chaos --plain --targets driver trial raylet mlflow --kills $(KILLS) --seed $(SEED) --results benchmarks/chaos.jsonl

soak: $(INSTALLED) ## 500 trials that do next to nothing in one sweep; does the driver grow? (TRIALS=500)
	$(BIN)/python -m tests.chaos.soak --trials $(TRIALS) --results benchmarks/soak.jsonl

cluster-test: $(INSTALLED) ## play several hosts on this machine, kill, cut off and add some (as root; half an hour)
	$(BIN)/python -m pytest -q -p no:cacheprovider tests/cluster --figures benchmarks/cluster.jsonl $(ARGS)

scaling: $(INSTALLED) ## measure what scheduling loses beside Ray Tune alone, on 1, 2 and 4 simulated nodes
	$(BIN)/python benchmarks/scaling.py $(ARGS)

reliability: $(INSTALLED) ## write docs/reliability.md from what the attacks and the soak found
	$(BIN)/python benchmarks/reliability_page.py

wheel: $(INSTALLED) ## build the wheel into dist/
	$(BIN)/python -m build --wheel --outdir dist .

clean: ## remove the environment and what was built
	rm -rf $(VENV) dist
