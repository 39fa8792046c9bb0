"""Where the process begins."""

from dify_plugin import DifyPluginEnv, Plugin

# How long one call may wait for the app: longer than the daemon waits for Dify, so that the daemon's words are read.
plugin = Plugin(DifyPluginEnv(MAX_INVOCATION_TIMEOUT=250))

if __name__ == "__main__":
    plugin.run()
