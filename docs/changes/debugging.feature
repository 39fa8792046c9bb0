The debugging port takes plugins under development: they register over TCP, serve calls, take over from one another, and stand in for an installed plugin of the same name without touching it.
