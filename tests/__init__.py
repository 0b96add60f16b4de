"""Tests, one file for each module; they mirror the project's folders."""
