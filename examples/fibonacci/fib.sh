#!/bin/sh
# fib.sh N: as a thunk, writes to the file value either fib(N) or the graph that comes to it.
set -eu
n=$1
if [ "$n" -lt 2 ]; then
    echo "$n" >value
    exit
fi
cat >value <<GRAPH
gg-graph 1
{"thunks": {"left": {"inherit": true, "args": ["$0", "$((n - 1))"]},
            "right": {"inherit": true, "args": ["$0", "$((n - 2))"]},
            "sum": {"inherit": true, "executable": "/bin/sh",
                    "args": ["sh", "-c", "read l </l; read r </r; echo \$((l + r)) >value"],
                    "inputs": {"/l": {"thunk": "left"}, "/r": {"thunk": "right"}}}},
 "output": {"thunk": "sum"}}
GRAPH
