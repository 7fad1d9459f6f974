"""Other projects' interfaces on hlfast, each in a package of its own (layer 5)."""
