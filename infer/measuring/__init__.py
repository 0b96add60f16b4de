"""Measuring methods on pictures: the figures of each result as tables and plots."""
