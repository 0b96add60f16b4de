"""The notebook and its helper modules."""
