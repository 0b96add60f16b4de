# `make demo` and `make test` set everything up by themselves, in .venv.
# FLAGS: pytest's, for `make test`, and WORKERS: how many processes run the tests.
# PYTHON: the interpreter to use (default: the first of 3.8 to 3.12).  PADDLE: another Paddle (paddlepaddle==3.3.1).
PYTHON ?=
PADDLE ?=
VENV ?= .venv
FLAGS ?=
WORKERS ?= 2

DEMO = output/demo
# The shipped generators were trained on bicubic LR pictures and need only a small learning rate.
TRAINING = --data $(DEMO)/photographs --output $(DEMO) --hr-size 96 --degradation bicubic --learning-rate 1e-4

# The shipped generators on a few photographs, then a short run of both stages. The discriminator's 89 million weights
# make a step of stage 2 slow on a CPU, so there are only a few.
demo: set-up
	rm -rf $(DEMO)/checkpoints
	$(VENV)/bin/python data/prepare.py --sample $(DEMO)/photographs
	$(VENV)/bin/python infer/evaluate.py --hr $(DEMO)/photographs --figure $(DEMO)/shipped.png --pictures astronaut chelsea coffee
	$(VENV)/bin/python train/pretrain_g.py $(TRAINING) --init srresnet --batch-size 8 --crops-per-image 8 --epochs 4 --sample-every 2
	$(VENV)/bin/python train/train_gan.py $(TRAINING) --batch-size 4 --crops-per-image 2 --epochs 1 --sample-every 1 --no-vgg
	@echo "pictures, figures and weights are in $(DEMO)/"

test: set-up
	$(VENV)/bin/python -m pytest -q -n $(WORKERS) --dist loadfile $(FLAGS)

lint: set-up
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

set-up:
	@PYTHON='$(PYTHON)' sh .ci/set_up.sh '$(VENV)' '$(PADDLE)'

.PHONY: demo test lint set-up
