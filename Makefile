# What a person types. `make` alone lists it; README.md explains it.
SHELL := /bin/bash
.DEFAULT_GOAL := help

PYTHON ?= python3
# A CPU build saves a large download: make setup TORCH="torch==2.13.0 --index-url https://download.pytorch.org/whl/cpu"
TORCH ?= torch==2.13.0
# A file of profiles/ without its ending; empty leaves params.yaml as it is.
PROFILE ?=
# A CSV path_to_video,caption[,label][,split], a folder of UCF-101 or MSR-VTT, or `synthetic`; empty: as params.yaml says.
SOURCE ?=
# Real clips for benchmarks: a captions.csv, or a folder of videos; empty: the embedded scenes.
CLIPS ?=
# Pipeline folders whose samplers are compared; empty: models/sketch_ldm.
MODELS ?=
# What make bench-strokes measures: a curve VAE, the text encoder that it was trained with, a folder of clips and curves.
CURVE_VAE ?= models/shared/curve_vae
TEXT_ENCODER ?= models/shared/text_encoder
DATA ?= data
STROKES_CLIPS ?= 144
# What is generated in the end; videos of your own bring their own captions.
PROMPTS ?= $(if $(filter-out synthetic,$(SOURCE)),reports/captions.txt,prompts/demo.txt)

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# Files are spread over processes, whole files: what a file's tests share is made once. One thread each, so that the
# processes do not take each other's cores.
PYTEST := OMP_NUM_THREADS=1 python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile
export PATH := $(CURDIR)/$(BIN):$(PATH)
# Recipes read names from the environment, in quotes: a name may hold spaces, quotes and what else make or a shell reads.
export PROFILE SOURCE CLIPS CURVE_VAE TEXT_ENCODER DATA STROKES_CLIPS PROMPTS

.PHONY: help
help: ## List these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: setup
setup: $(READY) ## Make .venv with everything in it (TORCH=... chooses the build of PyTorch)

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, this is " + sys.version.split()[0] + "; name one: make PYTHON=python3.12")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet $(TORCH)
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[dev,bench,docs]'
	touch $@

.PHONY: demo
demo: $(READY) ## Main job: data, training, report, registration, videos (PROFILE=smoke|gpu, SOURCE=captions.csv)
	$(if $(PROFILE),sketch2video profile -- "$$PROFILE")
	$(if $(SOURCE),sketch2video source -- "$$SOURCE")
	sketch2video check $(if $(filter-out reports/captions.txt,$(PROMPTS)),--prompts="$$PROMPTS")
	python -m flows.server run -- $(MAKE) --no-print-directory .demo
	@echo
	@echo "report   $$PWD/reports/sketch_ldm/index.html"
	@echo "videos   $$PWD/outputs"
	@echo "runs     mlflow ui --backend-store-uri sqlite:///mlruns/mlflow.db   (or make up)"

.PHONY: .demo
.demo:
	dvc repro
	sketch2video register
	sketch2video captions > reports/captions.txt
	sketch2video generate -- "$$PROMPTS"

.PHONY: compare
compare: $(READY) ## Put all systems that were evaluated into one table: reports/systems.html
	sketch2video compare

.PHONY: bench
bench: $(READY) ## The equation beside what else could stand in its place, and the video loader (CLIPS=captions.csv or a folder of videos)
	python -m benchmarks.equation $(if $(CLIPS),"$$CLIPS")
	python -m benchmarks.probe
	python -m benchmarks.loader

.PHONY: bench-loader
bench-loader: $(READY) ## Random frames of a long video: by seeking, and by decoding all of it
	python -m benchmarks.loader

.PHONY: bench-scale
bench-scale: $(READY) ## Time and memory of the data stages for 1,000 and 10,000 clips
	python -m benchmarks.scale

.PHONY: bench-metrics
bench-metrics: $(READY) ## Show that the metrics rank: real clips spoiled more and more (CLIPS=captions.csv or a folder of videos)
	python -m benchmarks.metrics $(if $(CLIPS),"$$CLIPS")

.PHONY: bench-samplers
bench-samplers: $(READY) ## Plot quality against steps for every sampler, and against guidance (MODELS=folders)
	python -m benchmarks.samplers $(MODELS)

.PHONY: bench-foreground
bench-foreground: $(READY) ## How much of the true foreground segmenters find in the embedded scenes
	python -m benchmarks.foreground

.PHONY: bench-tokens
bench-tokens: $(READY) ## What going to tokens and back alone does to held-out clips (needs systems/hierarchical_vqgan/dvc.yaml)
	python -m benchmarks.tokens

.PHONY: bench-long
bench-long: $(READY) ## How steady long videos are, module by module, and what videos of 16 to 1,024 frames cost (needs systems/long_video/dvc.yaml)
	python -m benchmarks.long_videos
	python -m benchmarks.long_videos --lengths

.PHONY: bench-strokes
bench-strokes: $(READY) ## How good drawings of many strokes are, beside those of real clips (CURVE_VAE=model TEXT_ENCODER=model DATA=folder of clips and curves)
	python -m benchmarks.strokes --model "$$CURVE_VAE" --text-encoder "$$TEXT_ENCODER" --curves "$$DATA/curves" --clips "$$DATA/clips" --clips-count "$$STROKES_CLIPS"

.PHONY: bench-stroke-numbers
bench-stroke-numbers: $(READY) ## What latents of strokes are worth beside the strokes' numbers themselves; trains a second prior (variables as above)
	python -m benchmarks.stroke_numbers --model "$$CURVE_VAE" --text-encoder "$$TEXT_ENCODER" --curves "$$DATA/curves" --clips "$$DATA/clips" --clips-count "$$STROKES_CLIPS"

.PHONY: bottleneck
bottleneck: $(READY) ## Put the claim to the test: systems with and without the sketch behind tighter bottlenecks (up to 3 h; goes on where it stopped)
	python -m flows.server run -- python -m benchmarks.bottleneck

.PHONY: up
up: $(READY) ## Start Prefect server, worker and MLflow server on 127.0.0.1
	sketch2video up

.PHONY: lint
lint: $(READY) ## Check style and types
	ruff check
	ruff format --check
	mypy

.PHONY: test
test: lint ## Check style and types, run the fast tests (a tiny run of the whole graph among them)
	$(PYTEST) -m "not slow"

.PHONY: test-all
test-all: lint docs ## Build the documentation, run all tests
	$(PYTEST)

.PHONY: docs
docs: $(READY) ## Build the documentation into site/ (strict: broken links and references are errors)
	NO_MKDOCS_2_WARNING=1 python -m mkdocs build --strict
	@echo "documentation   $$PWD/site/index.html   (search works from a server: mkdocs serve)"

.PHONY: clean
clean: ## Remove everything made: data, models, reports, checkpoints, videos, runs (not .venv, not your own videos)
	rm -rf data/clips data/images data/sketches data/curves $(patsubst systems/%/dvc.yaml,data/%,$(wildcard systems/*/dvc.yaml)) data/sketch_ldm
	rm -rf data/validated.json models reports checkpoints outputs site
	find mlruns -mindepth 1 ! -name .gitkeep -delete
	rm -rf .dvc/cache .dvc/tmp .prefect
