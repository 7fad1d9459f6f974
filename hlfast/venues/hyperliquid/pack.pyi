"""Order actions straight to msgpack; everything here is for `cimport`."""
