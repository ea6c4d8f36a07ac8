"""The client, the command line and `imts up` against real processes and sockets."""
