"""Ray Serve applications: parse, authenticate, call, answer."""

from signals.ray_node.worker import leave_unloaded

leave_unloaded()
