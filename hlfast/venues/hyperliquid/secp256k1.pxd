ctypedef int (*SignFn)(const void* ctx, void* signature65, const unsigned char* digest32, const unsigned char* key32, const void* nonce_fn, const void* data) noexcept nogil
ctypedef int (*SerializeFn)(const void* ctx, unsigned char* out64, int* recid, const void* signature65) noexcept nogil
ctypedef int (*ParseFn)(const void* ctx, void* signature65, const unsigned char* compact64, int recid) noexcept nogil
ctypedef int (*RecoverFn)(const void* ctx, void* pubkey64, const void* signature65, const unsigned char* digest32) noexcept nogil
ctypedef int (*CreateFn)(const void* ctx, void* pubkey64, const unsigned char* key32) noexcept nogil
ctypedef int (*PubSerializeFn)(const void* ctx, unsigned char* out, size_t* size, const void* pubkey64, unsigned int flags) noexcept nogil
ctypedef int (*ScalarFn)(const void* ctx, unsigned char* scalar32) noexcept nogil
ctypedef int (*TweakFn)(const void* ctx, unsigned char* scalar32, const unsigned char* tweak32) noexcept nogil
ctypedef int (*NonceFn)(unsigned char* nonce32, const unsigned char* digest32, const unsigned char* key32, const unsigned char* algorithm16, void* extra32, unsigned int attempt) noexcept nogil

cdef enum:
    COMPRESSED = 258                         # SECP256K1_EC_COMPRESSED: 33 bytes
    UNCOMPRESSED = 2                         # SECP256K1_EC_UNCOMPRESSED: 65 bytes

cdef const void* ctx                         # coincurve's one context; every call below may be made from any thread
cdef SignFn sign_recoverable
cdef SerializeFn serialize_compact
cdef ParseFn parse_compact
cdef RecoverFn recover
cdef ScalarFn seckey_verify                  # 1 if above 0 and below the group order
cdef ScalarFn seckey_negate
cdef TweakFn seckey_tweak_add                # 0 if the tweak is not below the group order, or the sum is 0
cdef TweakFn seckey_tweak_mul                # 0 if the tweak is not below the group order, or is 0
cdef CreateFn pubkey_create
cdef PubSerializeFn pubkey_serialize
cdef NonceFn nonce_rfc6979
