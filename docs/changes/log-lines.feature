The log line of a call names the plugin and, when the call failed, the error, and has the same trace id as all that the call causes; of the query of a web hook it shows the names alone.
