"""Child processes of the local stack: accounts, ports, pid files, memory."""
