"""From a case's files to the network's input: crop, harmonize, normalize, store."""
