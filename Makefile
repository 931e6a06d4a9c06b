# Each target sets up .venv by itself. DEVICE=cpu forces the CPU, PRESET=smoke|quick|paper.
PYTHON ?= python3
PRESET ?= quick
DEVICE ?= auto
BIN := .venv/bin
STAMP := .venv/.installed

.PHONY: figures test lab book lint clean

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

book: $(STAMP)
	$(BIN)/python -m pip install -q -c constraints.txt -e ".[book]"
	$(BIN)/python book/build.py

clean:
	rm -rf .venv data/runs data/executed
