Signatures of the marketplace and of third parties are verified in packages and bundles, and a refusal says which check failed.
