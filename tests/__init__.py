"""Tests, one file for each module; they mirror the project's folders."""

import models  # noqa: F401  before Paddle: see there
