"""What is needed to run the real `WorkerPool` with no real process and no real time.

::

    from pool.testing import Obedient, ScriptedLauncher, ScriptedPool, run


    def test_my_service() -> None:
        launcher = ScriptedLauncher(lambda: Obedient({"classify": lambda args: "a label"}))

        async def main() -> None:
            async with ScriptedPool(launcher, size=4) as pool:
                assert await my_service(pool) == "a label"
                launcher.living[0].exit(-9)  # killed by the kernel
                assert await my_service(pool) == "a label"
            launcher.assert_nothing_left()

        run(main())  # hours of timeouts pass in milliseconds

`run(main(), seed=7)`, with a `ScriptedLauncher(..., seed=7)`, explores another
order of events; the same seed always brings the same one.
"""

from pool.testing.child import Child
from pool.testing.launcher import ScriptedLauncher
from pool.testing.loop import VirtualLoop
from pool.testing.misbehaving import Misbehaving
from pool.testing.obedient import Obedient
from pool.testing.pool import ScriptedPool
from pool.testing.running import run
from pool.testing.script import Control, Request, Script
from pool.testing.stuck import Deadlock, Livelock, Stuck
from pool.testing.vices import Vices

__all__ = [
    "run",
    "VirtualLoop",
    "Stuck",
    "Deadlock",
    "Livelock",
    "ScriptedPool",
    "ScriptedLauncher",
    "Child",
    "Script",
    "Request",
    "Control",
    "Obedient",
    "Misbehaving",
    "Vices",
]
