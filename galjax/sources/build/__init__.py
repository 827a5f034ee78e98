"""From a survey's catalogue to a sample: jobs side by side, each kept as soon as it is done."""
