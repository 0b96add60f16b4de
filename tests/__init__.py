"""Tests, one file for each module; what several share is in helpers/."""

import os

# On the CPU everywhere, in the commands that they start too: a GPU's convolutions round differently (TF32) and its runs
# are not repeatable to the bit.
os.environ["CUDA_VISIBLE_DEVICES"] = ""

import common  # noqa: F401  before Paddle: see there
