DEBUG: bool
TRACE: bool
SANITIZE: bool
COMPILER: str
CYTHON: str
