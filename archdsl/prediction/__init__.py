"""Running a network on images."""
