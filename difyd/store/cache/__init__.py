"""Short-lived knowledge and agreement: cached values, leases, messages. In this process (`memory`), or shared by the nodes of a cluster."""
