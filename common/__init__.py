"""Helpers that every room needs: errors, atomic writes, the command line, the device, plots, the scale."""

# Paddle 2.6.2 exports its own copy of zlib (1.2.8). A system zlib loaded after Paddle calls into that copy, and PNG
# files, archives and zlib itself then fail or crash (PaddlePaddle issue 70538). These two imports load the system zlib
# before Paddle: through Python's module, or, where Python has zlib built in, through Pillow's library.
import sys
import zlib  # noqa: F401

import PIL.Image  # noqa: F401

try:
    import cv2  # noqa: F401
except ImportError as error:
    if "cannot open shared object" not in str(error):
        raise
    sys.exit(
        f"error: OpenCV cannot be loaded ({error}), as in slim containers: python notebooks/set_up.py, or "
        "pip uninstall opencv-python and pip install opencv-python-headless"
    )
