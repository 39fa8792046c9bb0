"""
Plugins under development: the port that they connect to, and what they are to the rest of the daemon (debug-runtime).

A developer's plugin connects over TCP, says whose it is with a debugging key, hands in its declaration and icons, and then serves calls over
the same connection like a child process does over its pipes. Bytes enter at the bottom and become a runtime at the top:

    connection   one TCP connection: lines in, lines out, deadlines            registration   its life, as a machine
    messages     what a registration line may be, and the last words to it     submission     what it has handed in, checked
    outbox       what waits for a plugin that does not read                    keys           whose connection it is
    plugin       one plugin under development: an IPluginRuntime that outlives a reconnect
    plugins      all of them on this node: admission, limits, look-up          server         the port
"""
