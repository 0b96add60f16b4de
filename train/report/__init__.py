"""A run's reports: samples, log, curves, VisualDL, validation, the state of the GAN."""
