"""Where the process begins: hand over to the SDK, which loads the declarations and serves calls until it is told to stop."""

from dify_plugin import DifyPluginEnv, Plugin

plugin = Plugin(DifyPluginEnv(MAX_REQUEST_TIMEOUT=120))

if __name__ == "__main__":
    plugin.run()
