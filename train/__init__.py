"""The two training commands and what they are made of."""
