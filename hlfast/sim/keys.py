"""The funded accounts of the local exchange (layer 5): published test keys, known to everybody, worth nothing.

They are hlfast's own SIMULATOR_TEST_KEY and the first keys of the well-known "test test ... junk" mnemonic that local
Ethereum nodes print at start. Nobody should ever send anything of value to their addresses.
"""

from __future__ import annotations

from dataclasses import dataclass

from coincurve import PrivateKey

from hlfast.config import SIMULATOR_TEST_KEY
from hlfast.sim.verify import address_of


@dataclass(frozen=True)
class FundedAccount:
    name: str
    key: str

    @property
    def address(self) -> str:
        return address_of(PrivateKey.from_hex(self.key[2:]).public_key)


FUNDED_ACCOUNTS = (
    FundedAccount("test-0", SIMULATOR_TEST_KEY),
    FundedAccount("test-1", "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"),
    FundedAccount("test-2", "0x59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d"),
    FundedAccount("test-3", "0x5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a"),
    FundedAccount("test-4", "0x7c852118294e51e653712a81e05800f419141751be58f605c371e15141b007a6"),
    FundedAccount("test-5", "0x47e179ec197488593b187f80a00eb0da91f1b9d0b13f8733639f19c30a34926a"),
)
