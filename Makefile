# Each target sets up .venv by itself. DEVICE=cpu forces the CPU, PRESET=smoke|quick|cpu|paper.
PYTHON ?= python3
PRESET ?= quick
DEVICE ?= auto
BIN := .venv/bin
STAMP := .venv/.installed

.PHONY: figures test test-browser bench lab book exercises lint clean

figures: $(STAMP)
	$(BIN)/perpcore figures --preset $(PRESET) --device $(DEVICE)

test: $(STAMP) lint
	$(BIN)/pytest

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy perpcore

lab: $(STAMP)
	$(BIN)/jupyter lab --notebook-dir=notebooks

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -c constraints.txt -e ".[notebooks,data,test]"
	# Its reader is a reference for ours; its dependencies (torchvision) would change torch.
	$(BIN)/python -m pip install -c constraints.txt --no-deps fastmri
	touch $(STAMP)

# JupyterLab and the book in a headless Chromium of this machine; skipped, with a reason, without.
test-browser: book
	$(BIN)/python -m pip install -q -c constraints.txt -e ".[browser]"
	$(BIN)/pytest -rs tests/browser tests/test_book.py

# Every script of benchmarks/, in an hour; what they print goes to benchmarks/RESULTS.md.
bench: $(STAMP)
	$(BIN)/python benchmarks/run_all.py

# Runs the solved notebooks and writes exercises/ from them.
exercises: $(STAMP)
	$(BIN)/python -m perpcore.exercises

book: $(STAMP)
	$(BIN)/python -m pip install -q -c constraints.txt -e ".[book]"
	$(BIN)/python book/build.py

clean:
	rm -rf .venv data/runs data/executed
