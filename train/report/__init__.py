"""What a run shows: samples, log, curves, VisualDL, validation, the state of the GAN."""
