"""One run of a producer: its Job, its totals, and the verdict on the incident that it should open."""
