"""libsecp256k1 as coincurve ships it; everything here is for `cimport`."""
