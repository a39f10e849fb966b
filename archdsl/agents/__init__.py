"""Tools for coding agents, and the server that offers them over the Model Context Protocol."""
