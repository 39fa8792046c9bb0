The metrics now count what plugins ask of Dify (`plugin_backwards_invocations_total` and others), and operations on the storage.
