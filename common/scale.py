"""The project's only scale, in a module that does not load Paddle."""

SCALE = 4  # an SR picture has 4 times the LR picture's sides
