"""What a long run needs: checkpoints, resuming, several processes, the CPU, mixed precision, stopping."""
