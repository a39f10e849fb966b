"""Writing files: whole or not at all, straight to the disk."""
