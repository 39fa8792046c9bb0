"""Where plugins run: child processes, debugging connections, cloud functions; and the supervisor that brings them up."""
