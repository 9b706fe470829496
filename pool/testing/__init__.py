"""What is needed to run asyncio code with no real time."""

from pool.testing.loop import VirtualLoop
from pool.testing.running import run
from pool.testing.stuck import Deadlock, Livelock, Stuck

__all__ = ["run", "VirtualLoop", "Stuck", "Deadlock", "Livelock"]
