"""Measuring methods on pictures: the figures of each result, tables and files of them, and plots."""
