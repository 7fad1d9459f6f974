"""libsecp256k1 as coincurve ships it (layer 2, hot): its own functions, called without the GIL.

The addresses are taken once, at import, from coincurve's cffi module, so that nothing of coincurve's Python API runs when
something is signed. What stands in the `.pxd` is all that hlfast uses; scalars are 32 bytes, most significant first. The
functions that take secrets are constant-time; each returns 1 on success and 0 on failure.
"""

from libc.stdint cimport uintptr_t

from hlfast.errors import BuildMismatch

_alive = []  # keeps the cffi module and the context from going away


def _bind():
    global ctx, sign_recoverable, serialize_compact, parse_compact, recover, seckey_verify, seckey_negate
    global seckey_tweak_add, seckey_tweak_mul, pubkey_create, pubkey_serialize, nonce_rfc6979
    try:
        from coincurve._libsecp256k1 import ffi, lib
        from coincurve.context import GLOBAL_CONTEXT
    except ImportError as error:
        raise BuildMismatch(f"coincurve cannot be used ({error}); install coincurve>=20,<22") from error

    def address(name):
        return int(ffi.cast("uintptr_t", ffi.addressof(lib, name)))

    ctx = <const void*><uintptr_t>int(ffi.cast("uintptr_t", GLOBAL_CONTEXT.ctx))
    sign_recoverable = <SignFn><uintptr_t>address("secp256k1_ecdsa_sign_recoverable")
    serialize_compact = <SerializeFn><uintptr_t>address("secp256k1_ecdsa_recoverable_signature_serialize_compact")
    parse_compact = <ParseFn><uintptr_t>address("secp256k1_ecdsa_recoverable_signature_parse_compact")
    recover = <RecoverFn><uintptr_t>address("secp256k1_ecdsa_recover")
    seckey_verify = <ScalarFn><uintptr_t>address("secp256k1_ec_seckey_verify")
    seckey_negate = <ScalarFn><uintptr_t>address("secp256k1_ec_seckey_negate")
    seckey_tweak_add = <TweakFn><uintptr_t>address("secp256k1_ec_seckey_tweak_add")
    seckey_tweak_mul = <TweakFn><uintptr_t>address("secp256k1_ec_seckey_tweak_mul")
    pubkey_create = <CreateFn><uintptr_t>address("secp256k1_ec_pubkey_create")
    pubkey_serialize = <PubSerializeFn><uintptr_t>address("secp256k1_ec_pubkey_serialize")
    nonce_rfc6979 = <NonceFn><uintptr_t>int(ffi.cast("uintptr_t", lib.secp256k1_nonce_function_rfc6979))
    _alive.extend((ffi, lib, GLOBAL_CONTEXT))


_bind()
