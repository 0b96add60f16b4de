"""The one scale of this project, where reading it does not load Paddle."""

SCALE = 4  # an SR picture has 4 times the LR picture's sides
