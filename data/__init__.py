"""Pictures: from files and archives to the crops a training step sees."""

import common  # noqa: F401  before Paddle: see there
