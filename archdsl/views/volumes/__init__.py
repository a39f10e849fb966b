"""A network as volumes: 3-D boxes as large as its feature maps, arcs for what skips, branches side by side."""
