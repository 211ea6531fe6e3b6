"""The commands: arguments in, messages out; the only room that prints."""
