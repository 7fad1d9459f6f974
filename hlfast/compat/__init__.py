"""Faces of other libraries (layer 5): programs that were written for those run on hlfast."""
