"""What shows only in a running process: the order path over sockets, start-up, memory."""
