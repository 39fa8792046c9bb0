A variable whose name is that of a setting but for a slip is now told at the start and by `--check`.
