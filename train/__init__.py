"""The two training commands and what they are made of."""

import common  # noqa: F401  before Paddle: see there
