`/debug/pprof/` shows, when `PPROF_ENABLED` is set, the stacks of threads and waiting coroutines, the use of memory, and a profile of some seconds for a flame graph.
