"""Events as clients send them and as records hold them; `README.md` says how the fast paths stay correct."""
