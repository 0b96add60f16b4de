"""Measurements and result pictures; nothing here is asserted in a test."""
