`/admin/` is served, with a key of its own, when `ADMIN_API_ENABLED` is set; its orders concern serverless functions, and are refused where plugins run as child processes.
