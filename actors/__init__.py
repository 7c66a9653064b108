"""Ray actors: one class per consumer kind and the supervisor that keeps them; no rule of the domain here."""

from signals.ray_node.worker import leave_unloaded

leave_unloaded()
