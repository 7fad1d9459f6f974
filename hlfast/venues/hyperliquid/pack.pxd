cdef Py_ssize_t pack_order_action(object given, unsigned char* out, Py_ssize_t room) except -1
