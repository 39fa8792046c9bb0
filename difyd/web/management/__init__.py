"""
Management of plugins (http-api 13, 14): what the console does, one class of routes for changing and one for looking.

Their group answers errors with HTTP status 200, because the Dify API server does not read the body of anything else; only requests that do not
bind are 400.
"""
