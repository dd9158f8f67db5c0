"""step.py N: as a thunk, writes to /value either fib(N) or the graph that comes to it."""

import sys

from graph import Graph

n = int(sys.argv[1])
if n < 2:
    with open("/value", "w") as file:
        file.write(f"{n}\n")
else:
    graph = Graph()
    # This same program, with other arguments.
    left = graph.thunk(args=[str(n - 1)], label=f"fib({n - 1})")
    right = graph.thunk(args=[str(n - 2)], label=f"fib({n - 2})")
    total = graph.thunk("/add", inputs={"/l": left, "/r": right}, outputs="/value", dynamic=False, label=f"sum of fib({n})")
    graph.write("/value", total)
