"""Support for long runs: checkpoints, resuming, several processes, CPU speed, mixed precision, stopping."""
