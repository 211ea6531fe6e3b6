"""The network, its checkpoints, and the device it runs on."""
