"""Ray actors: one class per consumer kind and the supervisor that keeps them; no rule of the domain here."""
