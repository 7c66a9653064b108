"""Tables of deploys."""
