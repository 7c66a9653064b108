"""Programs that fail, log and sign up through other products' clients; run in an environment of their own."""
