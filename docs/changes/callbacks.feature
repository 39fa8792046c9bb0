Plugins now call models, tools, apps and nodes of Dify and keep data; examples/reading_notes does both, docs/callbacks.md says how.
