"""Using a trained generator: upscale pictures, measure the result, export the network.

from infer import Upscaler
upscale = Upscaler()
sr = upscale(rgb_uint8)  # [h,w,3] to [4h,4w,3]
"""

import os

# Set before Paddle is loaded: users do not need its log of how it runs and optimises a program.
os.environ.setdefault("GLOG_minloglevel", "2")

import common  # noqa: F401  before Paddle: see there
from infer.upscaler import Upscaler

__all__ = ["Upscaler"]
