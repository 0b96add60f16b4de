"""The parts behind infer/app.py: the process that computes, the guard before its server, the hiding of paths."""
