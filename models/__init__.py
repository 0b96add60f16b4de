"""SRGAN's networks and the code for their weight files."""

import common  # noqa: F401  before Paddle: see there
