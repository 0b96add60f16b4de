"""Picture files to pixels and back, with all that must survive, and checks of untrusted ones."""
