"""What every room needs and none is about: errors, atomic writes, the command line, the device, plots, the scale."""

# Paddle 2.6.2 exports a zlib of its own (1.2.8). A system zlib that is loaded after Paddle calls into it, and PNG
# files, archives and zlib itself then fail or crash (PaddlePaddle issue 70538). These two load it before Paddle: with
# Python's module, or, where Python has zlib built in, with Pillow's library.
import zlib  # noqa: F401

import PIL.Image  # noqa: F401
