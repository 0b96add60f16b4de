# `make demo` and `make test` set everything up by themselves, in .venv.
# FLAGS: pytest's, for `make test`.
# PYTHON: the interpreter to use (default: the first of 3.8 to 3.12).  PADDLE: another Paddle (paddlepaddle==3.3.1).
PYTHON ?=
PADDLE ?=
VENV ?= .venv
FLAGS ?=

demo: set-up
	$(VENV)/bin/python train/demo.py

test: set-up
	$(VENV)/bin/python -m pytest -q $(FLAGS)

lint: set-up
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

set-up:
	@PYTHON='$(PYTHON)' sh .ci/set_up.sh '$(VENV)' '$(PADDLE)'

.PHONY: demo test lint set-up
