The daemon now needs three settings only, and keeps everything else in one directory that a lock guards.
