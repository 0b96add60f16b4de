"""The two training commands and the modules behind them."""

import common  # noqa: F401  before Paddle: see there
