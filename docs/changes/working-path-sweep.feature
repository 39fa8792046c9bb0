The daemon now deletes, at its start, day-old working directories of plugins that nobody has installed any more; `PLUGIN_WORKING_PATH_SWEEP=false` keeps them.
