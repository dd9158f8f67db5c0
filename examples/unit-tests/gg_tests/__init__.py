"""Runs test programs, each case or shard as a thunk.

- ``case``: a test case, and what came of it; a job: a thunk and the cases that it runs
- ``place``: what a test program can see, how long it may run, and its thunk
- ``pending``: programs that are placeholders, since they have not been linked yet
- ``googletest``, ``ctest``, ``rust``: which cases there are, and how the text of a run is read
- ``runner``: forces jobs, and shows what comes of them
- ``junit``: the record of a run as XML
"""
