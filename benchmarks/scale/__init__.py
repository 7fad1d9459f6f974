"""How cost grows: with levels, instruments, live orders, handlers, the length of a burst, and the whole universe at once."""
