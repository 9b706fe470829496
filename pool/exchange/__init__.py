"""What goes to and fro between the pool and one child: calls, items, large values, on two pipes."""
