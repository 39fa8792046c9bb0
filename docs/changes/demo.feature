`make demo` takes a fresh checkout to the streamed answer of a real plugin; examples/text_toolbox is a plugin to start from.
