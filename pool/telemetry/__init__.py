"""What happens in a pool, told to those who listen: events, and the adapters that pass them on."""
