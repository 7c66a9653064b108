"""Real clients of other products, at locked versions, against the whole product."""
