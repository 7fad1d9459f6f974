"""The official SDK's `hyperliquid.utils`: constants, errors, signing, types."""
