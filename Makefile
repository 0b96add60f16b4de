# `make demo` and `make test` set everything up by themselves, in .venv.
# FLAGS: pytest's, for `make test`, and WORKERS: how many processes run the tests.
# PYTHON: the interpreter to use (default: the first of 3.8 to 3.12).  PADDLE: another Paddle (paddlepaddle==3.3.1).
PYTHON ?=
PADDLE ?=
VENV ?= .venv
FLAGS ?=
WORKERS ?= 2

demo: set-up
	$(VENV)/bin/python train/demo.py

test: set-up
	$(VENV)/bin/python -m pytest -q -n $(WORKERS) --dist loadfile $(FLAGS)

lint: set-up
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

set-up:
	@PYTHON='$(PYTHON)' sh .ci/set_up.sh '$(VENV)' '$(PADDLE)'

.PHONY: demo test lint set-up
