"""`bridgepool doctor`: whether an environment can run a bridge, and what a start takes."""
