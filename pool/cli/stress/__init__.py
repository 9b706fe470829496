"""`bridgepool stress`: a load, faults, somebody who watches, and what came of it."""
