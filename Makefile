# make run     recognise from webcam and microphone (the first time: installs everything before)
# make test    lint, types, all tests
# Others: install, lock, demo, picture, soak, weights, clean.

ARGS    ?=
UPGRADE ?=
TORCH   := 2.13.0
UV      := 0.13.9
BIN     := .venv/bin
PIP     := $(BIN)/python -m pip --disable-pip-version-check --no-input

# The first Python that fits and can make a virtual environment; name another with PYTHON=...
PYTHON ?= $(shell for name in python3.11 python3.12 python3.13 python3; do \
	$$name -c 'import sys, ensurepip, venv; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' \
	2>/dev/null && { echo $$name; break; }; done)

.NOTPARALLEL:
.PHONY: run test install lock demo picture soak weights clean libraries

run: libraries $(BIN)/.installed
	@exec $(BIN)/normtr live $(ARGS)

test: libraries-test $(BIN)/.installed
	@echo "Style (seconds)"
	@$(BIN)/ruff check --quiet
	@$(BIN)/ruff format --check --quiet
	@echo "Types (up to a minute)"
	@$(BIN)/mypy
	@echo "Tests (10 minutes on 2 cores)"
	@$(BIN)/pytest -n 2 --dist loadfile

install: libraries $(BIN)/.installed

.PHONY: libraries-test
libraries:
	@PYTHON="$(PYTHON)" .ci/system_libraries.sh run
libraries-test:
	@PYTHON="$(PYTHON)" .ci/system_libraries.sh test

$(BIN)/.python:
	@if [ -z "$(PYTHON)" ]; then \
	echo "Python 3.11, 3.12 or 3.13 is needed and none was found; install one, or name it: make PYTHON=/path/to/python3.11 ..." >&2; \
	exit 1; fi
	@echo "Making .venv with $$($(PYTHON) --version) (10 s)"
	@$(PYTHON) -m venv .venv
	@touch $@

# The wheel of torch depends on the machine (CPU, CUDA), so it alone comes without a hash.
$(BIN)/.dependencies: requirements.lock | $(BIN)/.python
	@echo "Installing torch $(TORCH) (1 min; with CUDA some minutes more)"
	@$(PIP) install --quiet torch==$(TORCH)
	@echo "Installing the pinned packages of requirements.lock (1-2 min)"
	@$(PIP) install --quiet --require-hashes --no-deps -r requirements.lock
	@touch $@

$(BIN)/.installed: pyproject.toml $(BIN)/.dependencies
	@echo "Installing normtr itself (5 s)"
	@$(PIP) install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

# Keeps the pins that still fit; `make lock UPGRADE=--upgrade` takes the newest of everything.
# torch and the CUDA packages that come with it stay out: pip takes them with torch.
lock: $(BIN)/.python
	@[ -x $(BIN)/uv ] || { echo "Installing uv $(UV) (5 s)"; $(PIP) install --quiet uv==$(UV); }
	@echo "Resolving pyproject.toml into requirements.lock (10 s, more without a cache)"
	@mkdir -p build && { [ ! -f requirements.lock ] || cp requirements.lock build/lock.txt; }
	@printf 'torch==$(TORCH)\nsetuptools>=77\n' > build/extra.in
	@$(BIN)/uv pip compile pyproject.toml build/extra.in --extra train --extra dev \
	--universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
	--no-header --no-annotate --quiet $(UPGRADE) --output-file build/lock.txt > build/uv.log \
	|| { cat build/uv.log >&2; exit 1; }
	@{ echo "# Made by make lock: every package but torch, for Python 3.11-3.13."; \
	awk '/^[^ #]/ { keep = ($$0 !~ /^(torch|triton)==/ && $$0 !~ /^(nvidia|cuda)-/) } keep && !/^ *#/' \
	build/lock.txt; } > requirements.lock
	@rm -f build/lock.txt build/extra.in build/uv.log

demo: $(BIN)/.installed
	@command -v espeak-ng >/dev/null || .ci/system_libraries.sh test
	@echo "Making stream/demo.mp4 and checking it (1 min)"
	@$(BIN)/python tests/make_demo.py

# The README's pictures.
picture: $(BIN)/.installed
	@$(BIN)/python -m tests.make_picture > /dev/null

# Half an hour of the real pipe under a plan of faults; figures and a picture into runs/soak.
soak: libraries $(BIN)/.installed
	@mkdir -p runs/soak
	@$(BIN)/normtr bench live --seconds 1800 --faults configs/faults/soak.toml \
	--timeline runs/soak/timeline.png --record-gaps runs/soak/gaps.jsonl --force --json > runs/soak/report.json.partial
	@mv runs/soak/report.json.partial runs/soak/report.json && cat runs/soak/report.json

# Trains all parts (hours on 2 cores), each resuming where it was stopped, into
# runs/weights, and says whether they are the shipped ones.
weights: $(BIN)/.installed
	$(BIN)/normtr train --config configs/face.toml --out runs/face
	$(BIN)/normtr train --config configs/voice.toml --out runs/voice
	$(BIN)/normtr train --config configs/text.toml --out runs/text
	$(BIN)/normtr train --config configs/fusion.toml --out runs/fusion
	$(BIN)/python -m training.recognizer.recorded runs/weights normtr/weights

clean:
	rm -rf .venv build .pytest_cache .mypy_cache .ruff_cache .hypothesis *.egg-info
	find . -name __pycache__ -not -path './.git/*' -prune -exec rm -rf {} +
