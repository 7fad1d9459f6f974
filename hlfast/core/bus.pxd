from libc.stdint cimport int64_t

cdef class EventBus:
    cdef dict _handlers                      # exact event class -> tuple of callables
    cdef public object task_factory          # makes a supervised task of a coroutine; given by the connector
    cdef public object on_error              # fn(handler, error), told of every handler that raised
    cdef public int64_t handler_errors
    cdef bint wants(self, object event_class) except -1
    cdef int emit_event(self, object event) except -1
