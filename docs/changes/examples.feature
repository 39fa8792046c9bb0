The examples now hold a plugin of every kind on the real SDK, each one to start from: examples/README.md lists them.
