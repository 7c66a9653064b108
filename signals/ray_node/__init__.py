"""Every change that we make to Ray, Ray Serve and HAProxy. The README of this room lists them."""
