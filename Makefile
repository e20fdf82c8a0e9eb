# `make` lists the targets.
SHELL := /bin/bash
.DEFAULT_GOAL := help

PYTHON ?= python3
# A CPU build is a smaller download: make setup TORCH="torch==2.13.0 --index-url https://download.pytorch.org/whl/cpu"
TORCH ?= torch==2.13.0
# A file of profiles/ without its ending; empty: params.yaml is not changed.
PROFILE ?=
# A CSV path_to_video,caption[,label][,split], a folder of UCF-101, MSR-VTT or Sprites, or `synthetic`; empty: that of params.yaml.
SOURCE ?=
# Real clips for benchmarks: a captions.csv or a folder of videos; empty: the synthetic scenes
# (bench-limits needs a CSV).
CLIPS ?=
# Pipelines for make bench-samplers, bench-control and bench-studio; empty: models/sketch_ldm.
MODELS ?=
# For make bench-strokes and bench-few-drawings: a curve VAE, its text encoder; for them and bench-control: a folder with
# clips and curves.
CURVE_VAE ?= models/shared/curve_vae
TEXT_ENCODER ?= models/shared/text_encoder
DATA ?= data
STROKES_CLIPS ?= 144
# A pipeline: for make bench-few-drawings, which paints with it (empty: not at all), and bench-cas (empty: the default
# system's); with DATA, the folder that holds clips.
PIPELINE ?=
# Systems for make results; empty: the table of the default run.
SYSTEMS ?=
# Name of the data for make results and bench-limits, if not the default: it ends the tables' names, such as sprites.
DATA_NAME ?=
# WRITE=1 writes the tables of make results, bench, bottleneck and most bench-* between their markers in the documentation.
WRITE ?=
# Prompts for make demo; empty: prompts/PROFILE.txt, else prompts/demo.txt, or held-out captions of your own videos.
SCENES_PROMPTS := $(firstword $(wildcard prompts/$(PROFILE).txt) prompts/demo.txt)
PROMPTS ?= $(if $(filter-out synthetic,$(SOURCE)),reports/captions.txt,$(SCENES_PROMPTS))

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# Whole test files are distributed over processes, so that fixtures of a file are made once. One thread per process.
PYTEST := OMP_NUM_THREADS=1 python -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile
export PATH := $(CURDIR)/$(BIN):$(PATH)
# Recipes read names from the environment, in quotes, since names may contain spaces, quotes and other special characters.
export PROFILE SOURCE CLIPS CURVE_VAE TEXT_ENCODER DATA DATA_NAME PIPELINE STROKES_CLIPS PROMPTS WRITE

.PHONY: help
help: ## List these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: setup
setup: $(READY) ## Create .venv (TORCH=... selects the build of PyTorch)

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, this is " + sys.version.split()[0] + "; name one: make PYTHON=python3.12")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install $(TORCH)
	$(BIN)/python -m pip install -c constraints.txt -e '.[dev,bench,docs]'
	touch $@

.PHONY: demo
demo: $(READY) ## Run everything: data, training, report, registration, videos (PROFILE=a file of profiles/, SOURCE=captions.csv)
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
	python -m flows.pipeline
	sketch2video register
	sketch2video captions > reports/captions.txt
	sketch2video generate -- "$$PROMPTS"

.PHONY: compare
compare: $(READY) ## Compare all evaluated systems: reports/systems.html
	sketch2video compare

.PHONY: results
results: $(READY) ## Show the scores of the default run, or of several systems (SYSTEMS="sketch_ldm text_ldm")
	python -m benchmarks.results $(SYSTEMS) $(if $(DATA_NAME),--data "$$DATA_NAME")

.PHONY: bench
bench: $(READY) ## Compare the equation with other curve fits, and measure the video loader (CLIPS=captions.csv or a folder of videos)
	python -m benchmarks.equation $(if $(CLIPS),"$$CLIPS")
	python -m benchmarks.probe
	python -m benchmarks.loader

.PHONY: bench-clip-numbers
bench-clip-numbers: $(READY) ## Measure numbers of a whole clip against error (CLIPS=captions.csv or a folder of videos)
	python -m benchmarks.clip_numbers $(if $(CLIPS),"$$CLIPS")

.PHONY: bench-loader
bench-loader: $(READY) ## Measure reading random frames of a long video
	python -m benchmarks.loader

.PHONY: bench-scale
bench-scale: $(READY) ## Measure time and memory of the data stages for 1,000 and 10,000 clips
	python -m benchmarks.scale

.PHONY: bench-metrics
bench-metrics: $(READY) ## Test the metrics on increasingly corrupted real clips (CLIPS=captions.csv or a folder of videos)
	python -m benchmarks.metrics $(if $(CLIPS),"$$CLIPS")

.PHONY: bench-cas
bench-cas: $(READY) ## Train a classifier on generated clips, test it on real ones (PIPELINE=folder DATA=folder with clips)
	python -m benchmarks.cas --model "$${PIPELINE:-models/sketch_ldm/pipeline}" --data "$$DATA"

.PHONY: bench-samplers
bench-samplers: $(READY) ## Plot quality against steps of every sampler, and against guidance (MODELS=folders)
	python -m benchmarks.samplers $(MODELS)

.PHONY: bench-control
bench-control: $(READY) ## Plot how far videos are from their drawings against control_guidance_scale (MODELS=folders DATA=folder of clips and curves)
	python -m benchmarks.control $(MODELS) --data "$$DATA"

.PHONY: bench-spectrum
bench-spectrum: $(READY) ## Plot the spectrum of the latents along time, and that of the noise
	python -m benchmarks.spectrum

.PHONY: bench-foreground
bench-foreground: $(READY) ## Measure segmenters of the foreground on the synthetic scenes
	python -m benchmarks.foreground

.PHONY: bench-tokens
bench-tokens: $(READY) ## Measure held-out clips after encoding to tokens and decoding (needs systems/hierarchical_vqgan/dvc.yaml)
	python -m benchmarks.tokens

.PHONY: bench-long
bench-long: $(READY) ## Measure steadiness of long videos, module by module, and cost of 16 to 1,024 frames (needs systems/long_video/dvc.yaml)
	python -m benchmarks.long_videos
	python -m benchmarks.long_videos --lengths

.PHONY: bench-adapted
bench-adapted: $(READY) ## Adapt the text-only model to drawings, and score it before and after (needs models/text_ldm)
	python -m benchmarks.adapted

.PHONY: bench-gpu
bench-gpu: $(READY) ## Measure memory and time of adapting large bases, with random weights, and of profile gpu on your clips (CLIPS=captions.csv; needs a GPU)
	python -m benchmarks.gpu
	$(if $(CLIPS),python -m benchmarks.rates "$$CLIPS")

.PHONY: bench-strokes
bench-strokes: $(READY) ## Measure generated drawings against those of real clips (CURVE_VAE=model TEXT_ENCODER=model DATA=folder of clips and curves)
	python -m benchmarks.strokes --model "$$CURVE_VAE" --text-encoder "$$TEXT_ENCODER" --curves "$$DATA/curves" --clips "$$DATA/clips" --clips-count "$$STROKES_CLIPS"

.PHONY: bench-stroke-numbers
bench-stroke-numbers: $(READY) ## Compare priors on latents and on coefficients of strokes; trains a second prior (variables as above)
	python -m benchmarks.stroke_numbers --model "$$CURVE_VAE" --text-encoder "$$TEXT_ENCODER" --curves "$$DATA/curves" --clips "$$DATA/clips" --clips-count "$$STROKES_CLIPS"

.PHONY: bench-few-drawings
bench-few-drawings: $(READY) ## Measure the strokes between one to three given drawings of a clip (variables as above; PIPELINE=folder paints them)
	python -m benchmarks.few_drawings --model "$$CURVE_VAE" --text-encoder "$$TEXT_ENCODER" --curves "$$DATA/curves" --sketches "$$DATA/sketches" --clips "$$DATA/clips" --clips-count "$$STROKES_CLIPS" $(if $(PIPELINE),--pipeline "$$PIPELINE")

.PHONY: bench-limits
bench-limits: $(READY) ## Train on your own clips with one limit changed at a time, such as their number (CLIPS=captions.csv)
	python -m benchmarks.limits $(if $(CLIPS),"$$CLIPS") $(if $(DATA_NAME),--data "$$DATA_NAME")

.PHONY: bench-studio
bench-studio: $(READY) ## Measure how fast the studio draws and paints, and many requests (MODELS=folder)
	python -m benchmarks.studio $(MODELS)

.PHONY: bottleneck
bottleneck: $(READY) ## Compare systems with and without the sketch behind bottlenecks in space and time (up to 2 h; resumes)
	python -m flows.server run -- python -m benchmarks.bottleneck

.PHONY: up
up: $(READY) ## Start Prefect server, worker and MLflow server on 127.0.0.1
	sketch2video up

.PHONY: studio
studio: $(READY) ## Open the page to type, draw, change strokes and paint videos
	sketch2video studio

.PHONY: lint
lint: $(READY) ## Check style and types
	ruff check
	ruff format --check
	mypy

.PHONY: test
test: lint ## Check style and types, run the fast tests, including a tiny run of the whole graph
	$(PYTEST) -m "not slow"

.PHONY: test-all
test-all: lint docs ## Build the documentation, run all tests
	$(PYTEST)

.PHONY: docs
docs: $(READY) ## Build the documentation into site/ (strict: broken links and references are errors)
	NO_MKDOCS_2_WARNING=1 python -m mkdocs build --strict
	@echo "documentation   $$PWD/site/index.html   (search works from a server: mkdocs serve)"

.PHONY: clean
clean: ## Remove all outputs: data, models, reports, checkpoints, videos, runs, site (not .venv, not your own videos)
	rm -rf data/clips data/images data/sketches data/curves $(patsubst systems/%/dvc.yaml,data/%,$(wildcard systems/*/dvc.yaml)) data/sketch_ldm
	rm -rf data/validated.json models reports checkpoints outputs site
	find mlruns -mindepth 1 ! -name .gitkeep -delete
	rm -rf .dvc/cache .dvc/tmp .prefect
