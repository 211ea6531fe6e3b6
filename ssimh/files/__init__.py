"""Files written whole or not at all: guards, locks, caches, records, and the file of a reference."""
