"""A bridge whose import never ends."""

import sys
import time

print("importing", file=sys.stderr, flush=True)
time.sleep(3600)
