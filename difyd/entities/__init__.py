"""Values that every floor speaks of: identifiers, declarations. No I/O, no imports from other rooms."""
