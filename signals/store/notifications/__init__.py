"""Tables of destinations, routes and notices."""
