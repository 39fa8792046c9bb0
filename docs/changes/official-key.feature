With `LANGGENIUS_BY_OFFICIAL_KEY_ONLY` a third-party key can no longer vouch for packages of Langgenius.
