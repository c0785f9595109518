"""Looks whether all is well with server, queue, workers and this machine, and names the fix where it is not."""
