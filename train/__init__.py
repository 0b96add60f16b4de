"""The two training commands and what they are made of."""

import models  # noqa: F401  before Paddle: see there
