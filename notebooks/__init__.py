"""The notebook, and what it uses besides the project's commands."""
