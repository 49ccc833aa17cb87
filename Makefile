# make run     recognise from webcam and microphone (the first time: installs what it needs before)
# make check   style, types, and the tests that need no device, browser, training or clock (90 s)
# make test    style, types, all tests; says at the end how much of the code they ran
# make wheel   the package as one file, in build/wheel
# Others: install (everything), lock, demo, picture, soak, weights, clean.

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
.PHONY: run check test style install wheel lock demo picture soak weights clean
.PHONY: libraries libraries-test

run: libraries $(BIN)/.normtr
	@exec $(BIN)/normtr live $(ARGS)

check: libraries style
	@echo "Quick tests (up to a minute)"
	@$(BIN)/pytest -n 2 --dist loadfile -m "not slow"

test: libraries-test style
	@echo "Tests (10 minutes on 2 cores)"
	@$(BIN)/pytest -n 2 --dist loadfile -m "not slow" --cov --cov-report=
	@$(BIN)/pytest -n 2 --dist loadfile -m slow
	@echo "Coverage: $$($(BIN)/coverage report --format=total) % of the lines ran in the quick tests' own processes"

style: $(BIN)/.everything
	@echo "Style (seconds)"
	@$(BIN)/ruff check --quiet
	@$(BIN)/ruff format --check --quiet
	@echo "Types (up to a minute)"
	@$(BIN)/mypy

install: libraries $(BIN)/.everything

# Setuptools puts what it finds in build/lib into the wheel, also what was left there before.
wheel: $(BIN)/.normtr
	@rm -rf build/lib build/wheel
	@$(PIP) wheel --quiet --no-deps --no-build-isolation --wheel-dir build/wheel .
	@ls build/wheel/*.whl

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

# What `make run` needs stands first in the lock, before the line that begins with "# To train".
$(BIN)/.live: requirements.lock | $(BIN)/.python
	@echo "Installing what recognising needs of requirements.lock (1 min)"
	@sed '/^# To train/,$$d' requirements.lock > $(BIN)/live.lock
	@$(PIP) install --quiet --require-hashes --no-deps -r $(BIN)/live.lock
	@touch $@

$(BIN)/.normtr: pyproject.toml $(BIN)/.live
	@echo "Installing normtr itself (5 s)"
	@$(PIP) install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

# The wheel of torch depends on the machine (CPU, CUDA), so it alone comes without a hash.
$(BIN)/.everything: requirements.lock $(BIN)/.normtr
	@echo "Installing torch $(TORCH) (1 min; with CUDA some minutes more)"
	@$(PIP) install --quiet torch==$(TORCH)
	@echo "Installing the other packages of requirements.lock (1 min)"
	@$(PIP) install --quiet --require-hashes --no-deps -r requirements.lock
	@touch $@

# Keeps the pins that still fit; `make lock UPGRADE=--upgrade` takes the newest of everything.
# torch and the CUDA packages that come with it stay out: pip takes them with torch. So does what
# would tell a server that OpenVINO is used.
RESOLVE = $(BIN)/uv pip compile pyproject.toml --universal --python-version 3.11 \
	--no-emit-index-url --no-emit-find-links --no-header --no-annotate --quiet
lock: $(BIN)/.python
	@[ -x $(BIN)/uv ] || { echo "Installing uv $(UV) (5 s)"; $(PIP) install --quiet uv==$(UV); }
	@echo "Resolving pyproject.toml into requirements.lock (10 s, more without a cache)"
	@mkdir -p build && { [ ! -f requirements.lock ] || cp requirements.lock build/lock.txt; }
	@echo 'setuptools>=77' > build/live.in && echo 'torch==$(TORCH)' > build/torch.in
	@{ $(RESOLVE) build/live.in build/torch.in --extra dev --generate-hashes $(UPGRADE) --output-file build/lock.txt && \
	$(RESOLVE) build/live.in --extra live --extra overlay --extra web --constraints build/lock.txt \
	--output-file build/live.txt && \
	$(RESOLVE) --extra models --no-deps --generate-hashes --constraints build/lock.txt \
	--output-file build/models.txt; } > build/uv.log || { cat build/uv.log >&2; exit 1; }
	@awk '{ split($$1, part, "==") } FILENAME ~ /live/ { live[part[1]]; next } \
	/^[^ #]/ { keep = (part[1] !~ /^(torch$$|triton$$|nvidia-|cuda-|openvino-telemetry$$)/ && !(part[1] in seen)); \
	seen[part[1]]; file = "build/lock." (part[1] in live || FILENAME ~ /models/ ? "1" : "2") } \
	keep && !/^ *#/ { print > file }' build/live.txt build/lock.txt build/models.txt
	@{ echo "# Made by make lock: every package but torch, for Python 3.11-3.13."; cat build/lock.1; \
	echo "# To train and to test:"; cat build/lock.2; } > requirements.lock
	@rm -f build/lock.* build/live.txt build/models.txt build/*.in build/uv.log

demo: $(BIN)/.everything
	@command -v espeak-ng >/dev/null || .ci/system_libraries.sh test
	@echo "Making stream/demo.mp4 and checking it (1 min)"
	@$(BIN)/python tools/make_demo.py

# The README's pictures.
picture: $(BIN)/.everything
	@$(BIN)/python -m tools.make_picture > /dev/null

# The real pipe under a plan of faults, half an hour or HOURS=2; figures and a picture into runs/soak.
HOURS ?= 0.5
soak: libraries $(BIN)/.everything
	@mkdir -p runs/soak
	@$(BIN)/normtr bench live --seconds $(shell awk 'BEGIN { print 3600 * $(HOURS) }') --faults configs/faults/soak.toml \
	--timeline runs/soak/timeline.png --record-gaps runs/soak/gaps.jsonl --force --json > runs/soak/report.json.partial
	@mv runs/soak/report.json.partial runs/soak/report.json && cat runs/soak/report.json

# Trains all parts (hours on 2 cores), each resuming where it was stopped, into
# runs/weights, and says whether they are the shipped ones.
weights: $(BIN)/.everything
	$(BIN)/normtr train --config configs/recognizer/face.toml --out runs/face
	$(BIN)/normtr train --config configs/recognizer/voice.toml --out runs/voice
	$(BIN)/normtr train --config configs/recognizer/text.toml --out runs/text
	$(BIN)/normtr train --config configs/recognizer/fusion.toml --out runs/fusion
	$(BIN)/python -m training.recognizer.recorded runs/weights normtr/weights

clean:
	rm -rf .venv build .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage *.egg-info
	find . -name __pycache__ -not -path './.git/*' -prune -exec rm -rf {} +
