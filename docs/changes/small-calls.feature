The daemon now runs on a reactor of its own where there is epoll, unless `twistd --reactor` names another: a call costs less, and nothing else is different.
