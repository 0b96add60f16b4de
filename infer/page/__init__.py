"""What serves infer/app.py: the process that computes, the guard before its server, the hidden paths."""
