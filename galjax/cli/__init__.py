"""Commands: flags to a configuration, errors to sentences, and what every experiment does around its own part."""
