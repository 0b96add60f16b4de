"""The networks of SRGAN and the files their weights come in."""

import common  # noqa: F401  before Paddle: see there
