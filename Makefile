# Each target sets up .venv by itself. DEVICE=cpu forces the CPU; PRESET=smoke|quick|full|paper.
PYTHON ?= python3
PRESET ?= quick
DEVICE ?= auto
BIN := .venv/bin
BROWSER_TESTS := tests/browser tests/test_book.py
STAMP := .venv/.installed

.PHONY: figures reproduce test lint test-browser lab book exercises bench clean

# Every figure and table from the precomputed results, compared with the committed ones.
figures: $(STAMP)
	$(BIN)/python workflow/figures.py --device $(DEVICE)

# The same from nothing: train, draw to figures/$(PRESET)/, set the claims side by side.
reproduce: $(STAMP)
	$(BIN)/perpcore train all --preset $(PRESET) --device $(DEVICE)
	$(BIN)/python workflow/figures.py --own-runs --preset $(PRESET) --device $(DEVICE)
	$(BIN)/python workflow/agreement.py figures/$(PRESET)

# All but those of test-browser, which need more installed.
test: $(STAMP) lint
	$(BIN)/pytest -n auto --dist loadfile --no-loadscope-reorder $(addprefix --ignore=,$(BROWSER_TESTS))

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy perpcore

lab: $(STAMP)
	$(BIN)/jupyter lab --notebook-dir=notebooks

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install -c constraints.txt -e ".[notebooks,data,experiments,test]"
	# Its reader is a reference for ours; its dependencies (torchvision) would change torch.
	$(BIN)/python -m pip install -c constraints.txt --no-deps fastmri
	touch $(STAMP)

# JupyterLab and the book in a headless Chromium; skipped, with a reason, where there is none.
test-browser: book
	$(BIN)/python -m pip install -q -c constraints.txt -e ".[browser]"
	$(BIN)/pytest -rs $(BROWSER_TESTS)

# Runs the solved notebooks and writes notebooks/exercises/ from them.
exercises: $(STAMP)
	$(BIN)/python book/exercises.py

book: $(STAMP)
	$(BIN)/python -m pip install -q -c constraints.txt -e ".[book]"
	$(BIN)/python book/build.py

# Every script of benchmarks/; what they print goes to benchmarks/RESULTS.md.
bench: $(STAMP)
	$(BIN)/python benchmarks/run_all.py

clean:
	rm -rf .venv data/runs data/executed
