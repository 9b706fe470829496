"""What `bridgepool map` is made of: lines in, records out, and what an earlier run has left."""
