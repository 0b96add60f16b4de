"""Helpers that every room needs: errors, atomic writes, the command line, the device, plots, the scale."""

# Paddle 2.6.2 exports its own copy of zlib (1.2.8). A system zlib loaded after Paddle calls into that copy, and PNG
# files, archives and zlib itself then fail or crash (PaddlePaddle issue 70538). These two imports load the system zlib
# before Paddle: through Python's module, or, where Python has zlib built in, through Pillow's library.
import zlib  # noqa: F401

import PIL.Image  # noqa: F401
