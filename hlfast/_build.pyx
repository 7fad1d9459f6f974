"""What this build was made with (layer 0, cold): constants compiled in by setup.py."""

cdef extern from *:
    """
    #ifdef __clang__
    #define HLFAST_COMPILER "clang " __clang_version__
    #elif defined(__GNUC__)
    #define HLFAST_COMPILER "gcc " __VERSION__
    #else
    #define HLFAST_COMPILER "unknown"
    #endif
    """
    const char* HLFAST_COMPILER
    const char* CYTHON_VERSION "CYTHON_ABI"
    int HLFAST_DEBUG
    int HLFAST_TRACE
    int HLFAST_SANITIZE

DEBUG = bool(HLFAST_DEBUG)
TRACE = bool(HLFAST_TRACE)
SANITIZE = bool(HLFAST_SANITIZE)
COMPILER = HLFAST_COMPILER.decode()
CYTHON = CYTHON_VERSION.decode().replace("_", ".")
